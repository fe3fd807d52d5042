package album

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	valid := Album{ID: 1, Title: "Blue Train", Artist: "John Coltrane", Price: 5699}
	with := func(change func(*Album)) Album {
		a := valid
		change(&a)
		return a
	}
	for _, tt := range []struct {
		name  string
		album Album
		want  []FieldError
	}{
		{"valid", valid, nil},
		{"no id yet", with(func(a *Album) { a.ID = 0 }), nil},
		{"negative id", with(func(a *Album) { a.ID = -1 }), []FieldError{{"id", BelowMinimum}}},
		{"no title", with(func(a *Album) { a.Title = "" }), []FieldError{{"title", Required}}},
		{"title of one character", with(func(a *Album) { a.Title = "é" }), []FieldError{{"title", BelowMinimum}}},
		{"title of two characters", with(func(a *Album) { a.Title = "東京" }), nil},
		{"longest title", with(func(a *Album) { a.Title = strings.Repeat("🎺", MaxText) }), nil},
		{"title too long", with(func(a *Album) { a.Title = strings.Repeat("a", MaxText+1) }), []FieldError{{"title", AboveMaximum}}},
		{"NUL in the artist", with(func(a *Album) { a.Artist = "a\x00b" }), []FieldError{{"artist", "must not contain the NUL character"}}},
		{"least price", with(func(a *Album) { a.Price = 1 }), nil},
		{"free", with(func(a *Album) { a.Price = 0 }), []FieldError{{"price", BelowMinimum}}},
		{"greatest price", with(func(a *Album) { a.Price = 1e6 }), nil},
		{"too dear", with(func(a *Album) { a.Price = 1e6 + 1 }), []FieldError{{"price", AboveMaximum}}},
		{"everything", Album{ID: -1}, []FieldError{{"id", BelowMinimum}, {"title", Required}, {"artist", Required}, {"price", BelowMinimum}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := Validate(tt.album)
			var invalid *InvalidError
			if errors.As(err, &invalid); err != nil && invalid == nil {
				t.Fatalf("Validate() = %T", err)
			}
			var got []FieldError
			if invalid != nil {
				got = invalid.Fields
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Validate() = %v, want %v", got, tt.want)
			}
		})
	}
	for _, a := range Seed() {
		if err := Validate(a); err != nil {
			t.Errorf("Validate(%v) = %v", a, err)
		}
	}
}

func TestParseCents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want Cents
		err  string
	}{
		{"56.99", 5699, ""},
		{"66.60", 6660, ""},
		{"17", 1700, ""},
		{"0.1", 10, ""},
		{"1e2", 10000, ""},
		{"0.01", 1, ""},
		{"10000", 1e6, ""},
		{"10000.01", MaxPrice + 1, ""},
		{"1e400", MaxPrice + 1, ""},
		{"0", 0, ""},
		{"-0.1", 0, ""},
		{"-1e400", 0, ""},
		{"1e-400", 0, ""},
		{"0.001", 0, "must have at most two decimals"},
		{"56.990000000001", 0, "must have at most two decimals"},
		{`"56.99"`, 0, "must be a number"},
		{"NaN", 0, "must be a number"},
		{"", 0, "must be a number"},
		{"[]", 0, "must be a number"},
	} {
		got, err := ParseCents(tt.in)
		if text := errText(err); got != tt.want || text != tt.err {
			t.Errorf("ParseCents(%q) = %d, %q, want %d, %q", tt.in, got, text, tt.want, tt.err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A price survives encoding and decoding.
func FuzzParseCents(f *testing.F) {
	for _, s := range []string{"56.99", "1e2", "-0", "1e400", "0x1p-2", "1_0", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCents(s)
		if err != nil || c < MinPrice || c > MaxPrice {
			return
		}
		again, err := ParseCents(c.String())
		if err != nil || again != c {
			t.Errorf("ParseCents(%q) = %d, but %q reads as %d, %v", s, c, c, again, err)
		}
		var fromJSON Cents
		if b, err := json.Marshal(c); err != nil || json.Unmarshal(b, &fromJSON) != nil || fromJSON != c {
			t.Errorf("%d is %s in JSON, which reads as %d", c, b, fromJSON)
		}
	})
}

func TestLater(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		ErrNotFound: false, ErrExists: false, ErrFull: false, ErrKeyReused: false, ErrNoOperation: false,
		ErrKeyRunning: true, ErrNotReady: true, ErrUnavailable: true, ErrTimeout: true, toldError{}: true,
	} {
		if got := Later(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("Later(%v) = %v, want %v", err, got, want)
		}
	}
}

type toldError struct{ error }

func (toldError) RetryAfter() time.Duration { return 0 }
