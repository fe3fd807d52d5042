package albumhttp

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Contract is the API's OpenAPI description, which every answer in the tests is
// compared with.
//
//go:embed openapi.yaml
var Contract []byte

const docsPath = "/v3/api-docs"

func serveContract(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", Contract) }
