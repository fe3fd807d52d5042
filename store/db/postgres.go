//go:build !nopostgres

package db

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
)

var postgresql = &libraries{
	queue: func(db *sql.DB) riverdriver.Driver[*sql.Tx] { return riverdatabasesql.New(db) },
	complete: func(ctx context.Context, tx *sql.Tx, j *river.Job[job]) error {
		_, err := river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, j)
		return err
	},
	unavailable: func(err error) bool {
		var connect *pgconn.ConnectError
		var network net.Error
		if errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) {
			return true
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			switch pg.Code {
			case "53300", "57P01", "57P02", "57P03", "55P03", "25006": // too many connections, shut down, starting, locked, read only
				return true
			}
			return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53")
		}
		return strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
	},
	rejected: func(err error) bool {
		var config *pgconn.ParseConfigError
		var certificate *tls.CertificateVerificationError
		var pg *pgconn.PgError
		return errors.As(err, &config) || errors.As(err, &certificate) ||
			errors.As(err, &pg) && (pg.Code == "28P01" || pg.Code == "28000") // password, pg_hba.conf
	},
	conflicted: func(err error) bool {
		var pg *pgconn.PgError
		return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "23505")
	},
}
