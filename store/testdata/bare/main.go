// Bare answers every album with the same JSON from a Gin handler that has nothing
// else: what wrk.sh compares the album store with.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"soundcheck/internal/album"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	a := album.Seed()[0]
	r.GET("/albums/:id", func(c *gin.Context) { c.JSON(http.StatusOK, a) })
	log.Fatal(http.ListenAndServe(os.Args[1], r))
}
