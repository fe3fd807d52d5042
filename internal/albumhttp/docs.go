package albumhttp

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Contract is the API's OpenAPI description. The tests validate every response against it.
//
//go:embed openapi.yaml
var Contract []byte

const docsPath = "/v3/api-docs"

func serveContract(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", Contract) }
