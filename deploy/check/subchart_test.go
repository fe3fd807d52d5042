package check

import "testing"

// As a dependency, the chart can be switched off, and accepts the values that parents share.
func TestSubchart(t *testing.T) {
	t.Parallel()
	r := lab
	r.parent = "platform"
	for name, render := range map[string]func(*testing.T, release, string) (map[string]string, error){"Helm 4": render4, "Helm 3": render3} {
		for _, tt := range []struct {
			values  string
			objects int // at least
		}{
			{"{global: {team: lab}, soundcheck: {enabled: true, images: {registry: a.example}}}", 20},
			{"{soundcheck: {images: {registry: a.example}}}", 20},
			{"{global: {team: lab}, soundcheck: {enabled: false}}", 0},
		} {
			files, err := render(t, r, tt.values)
			if err != nil {
				t.Errorf("%s: %s: %v", name, tt.values, err)
				continue
			}
			objects, wrong := decode(documents(files))
			for _, p := range append(wrong, problems(objects, r.namespace)...) {
				t.Errorf("%s: %s: %s", name, tt.values, p)
			}
			if len(objects) < tt.objects || tt.objects == 0 && len(objects) > 0 {
				t.Errorf("%s: %s: %d objects, want %d", name, tt.values, len(objects), tt.objects)
			}
		}
	}
}
