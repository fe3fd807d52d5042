// Package postgres tests the entrypoint of the PostgreSQL image that is made here.
package postgres
