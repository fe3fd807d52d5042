// Package web holds the pages of the console: plain ES modules, styles and one document.
package web

import "embed"

// Files are the pages' files.
//
//go:embed index.html app.js style.css lib pages panels styles
var Files embed.FS
