//go:build nopostgres

package db

var postgresql *libraries
