// Package apidocs is the page that shows the API's contract: Swagger UI. It is a
// package of its own so that only programs that serve it carry its files.
package apidocs

import (
	"net/http"

	swagger "github.com/swaggo/files/v2"
)

// initializer stands in for the one of Swagger UI, which shows another API.
const initializer = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "../../openapi.yaml",
    dom_id: "#swagger-ui",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
    layout: "StandaloneLayout",
  });
};
`

// Handler serves the page at /, which stands two folders below the contract.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /swagger-initializer.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write([]byte(initializer)) // the reader has left: nobody to tell
	})
	mux.Handle("GET /", http.FileServerFS(swagger.FS))
	return mux
}
