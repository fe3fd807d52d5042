// Bare answers every album with the same JSON from a Gin handler that has nothing
// else: what wrk.sh compares the album store with. It speaks HTTP/1.1 and HTTP/2, with TLS if there
// are files of a certificate and its key.
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
	s := &http.Server{Addr: os.Args[1], Handler: r, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	if len(os.Args) == 4 {
		log.Fatal(s.ListenAndServeTLS(os.Args[2], os.Args[3]))
	}
	log.Fatal(s.ListenAndServe())
}
