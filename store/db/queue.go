package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"soundcheck/internal/album"
	"soundcheck/store/db/lite"
)

// queue runs submitted operations.
type queue struct {
	client *river.Client[*sql.Tx]
	unlock func() // unlocks the SQLite file
}

const (
	queueWorkers = 4
	// After rescueAfter a running operation counts as interrupted by a killed process, and is
	// started again.
	rescueAfter = 30 * time.Second
	jobTimeout  = 20 * time.Second
	maxAttempts = 100
	// maxFailures is the maximum number of attempts that fail while the database is available.
	maxFailures = 3
	// cancelTimeout is the time for cancelled operations to return.
	cancelTimeout = time.Second
)

// job has the id of an operation. The operation's row has the request.
type job struct {
	Operation string `json:"operation"`
}

// Kind implements river.JobArgs.
func (job) Kind() string { return "operation" }

func (s *Store) startQueue(ctx context.Context) (_ *queue, err error) {
	unlock, err := s.lockFile("-store", false)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{s: s})
	// River logs its polling. Failed operations are logged here.
	client, err := river.NewClient(s.riverDriver(), &river.Config{
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: queueWorkers}},
		Workers:              workers,
		Logger:               slog.New(slog.DiscardHandler),
		PollOnly:             true,
		FetchCooldown:        50 * time.Millisecond,
		FetchPollInterval:    200 * time.Millisecond,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		MaxAttempts:          maxAttempts,
		RetryPolicy:          retry{},
	})
	if err != nil {
		return nil, err
	}
	if s.dialect == sqlite {
		// Only this store has the file: running jobs were interrupted when the last process
		// was killed, and so was the leader, which requeues jobs between attempts. On
		// PostgreSQL both can belong to another instance: there a job is restarted after
		// rescueAfter, and leadership expires.
		for _, query := range []string{"UPDATE river_job SET state = 'available' WHERE state = 'running'", "DELETE FROM river_leader"} {
			if _, err := s.exec(ctx, s.writer, query); err != nil {
				return nil, notReady(fmt.Errorf("requeue interrupted operations: %w", err))
			}
		}
	}
	if err := client.Start(ctx); err != nil {
		return nil, notReady(fmt.Errorf("start the operation queue: %w", err))
	}
	return &queue{client, unlock}, nil
}

// close waits within ctx for running operations, and then cancels them. The caller unlocks the
// SQLite file after it closes the database.
func (q *queue) close(ctx context.Context) error {
	if err := q.client.Stop(ctx); err == nil {
		return nil
	}
	// Cancelled operations restart at the next startup.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	return q.client.StopAndCancel(ctx)
}

// retry is a backoff from 1 s to 30 s: most failures are the database's.
type retry struct{}

func (retry) NextRetry(j *rivertype.JobRow) time.Time {
	return time.Now().Add(min(time.Second<<min(len(j.Errors), 5), 30*time.Second))
}

// Submit implements album.Service. The operation, its job and the key are stored in one transaction.
func (s *Store) Submit(ctx context.Context, w album.Write) (op album.Operation, replayed bool, err error) {
	if s.queue == nil {
		return op, false, fmt.Errorf("submit: %w", album.ErrNotReady)
	}
	end, err := s.running.begin(w.Key)
	if err != nil {
		return op, false, err
	}
	defer end()
	request, err := json.Marshal(w)
	if err != nil {
		return op, false, err
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	err = s.tx(ctx, "submit an operation", func(ctx context.Context, tx *sql.Tx) error {
		replayed = false
		old, err := s.replay(ctx, tx, w, true)
		if err != nil {
			return err
		}
		if old != nil {
			replayed = true
			op, err = s.operation(ctx, tx, old.Operation)
			return err
		}
		op = album.Operation{ID: uuid.NewString(), Status: album.Queued, CreatedAt: album.Now()}
		op.TraceID = traceID(carrier["traceparent"])
		_, err = s.exec(ctx, tx, "INSERT INTO operations (id, status, request, traceparent, created_at) VALUES ($1, $2, $3, $4, $5)",
			op.ID, string(op.Status), string(request), carrier["traceparent"], s.dialect.time(op.CreatedAt))
		if err != nil {
			return err
		}
		if _, err := s.queue.client.InsertTx(ctx, tx, job{op.ID}, nil); err != nil {
			return err
		}
		return s.remember(ctx, tx, w, true, storedResult{Operation: op.ID})
	})
	return op, replayed, err
}

// Operation implements album.Service.
func (s *Store) Operation(ctx context.Context, id string) (album.Operation, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	var op album.Operation
	err := s.read(ctx, func(c conn) (err error) {
		op, err = s.operation(ctx, c, id)
		return err
	})
	return op, s.wrap(ctx, "get operation", err)
}

func (s *Store) operation(ctx context.Context, c conn, id string) (op album.Operation, err error) {
	err = s.query(ctx, c, func(rows *sql.Rows) error {
		var created, started, finished instant
		var traceparent string
		var result, failure sql.NullString
		op.ID = id
		if err := rows.Scan(&op.Status, &traceparent, &result, &failure, &created, &started, &finished); err != nil {
			return err
		}
		op.CreatedAt, op.StartedAt, op.FinishedAt = created.Time, started.Time, finished.Time
		op.TraceID = traceID(traceparent)
		if failure.Valid {
			var f album.Failure
			if err := json.Unmarshal([]byte(failure.String), &f); err != nil {
				return err
			}
			op.Err = f.Err()
		}
		if result.Valid {
			return json.Unmarshal([]byte(result.String), &op.IDs)
		}
		return nil
	}, "SELECT status, traceparent, result, failure, created_at, started_at, finished_at FROM operations WHERE id = $1", id)
	if err == nil && op.ID == "" {
		err = album.ErrNoOperation
	}
	return op, err
}

func traceID(traceparent string) string {
	if len(traceparent) < 35 {
		return ""
	}
	return traceparent[3:35] // W3C: version-traceid-parentid-flags
}

// worker runs operations.
type worker struct {
	river.WorkerDefaults[job]
	s *Store
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	s, id := w.s, j.Args.Operation
	err := s.work(ctx, j)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, album.ErrNoOperation):
		return river.JobCancel(err) // expired, or another worker has run it
	case ctx.Err() != nil:
		return err // shutdown, or jobTimeout
	}
	s.log.WarnContext(ctx, "operation failed", slog.String("album.operation.id", id), slog.Int("attempt", j.Attempt), slog.String("error", err.Error()))
	if j.Attempt < j.MaxAttempts && (j.Attempt < maxFailures || unavailable(err) || conflicted(err)) {
		return err
	}
	// No retries are left.
	return errors.Join(err, s.tx(ctx, "fail an operation", func(ctx context.Context, tx *sql.Tx) error {
		return errors.Join(s.finish(ctx, tx, id, nil, err), s.completeTx(ctx, tx, j))
	}))
}

// work runs one operation. The albums, the operation's result and the job's are one transaction:
// however often it is started, it takes effect once.
func (s *Store) work(ctx context.Context, j *river.Job[job]) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	id := j.Args.Operation
	write, request, err := s.begin(ctx, id)
	if err != nil {
		return err
	}
	ctx, span := album.StartOperation(ctx, s.config.TracerProvider, id, request)
	defer func() { album.EndOperation(span, err) }()
	return s.tx(lite.Alone(ctx, len(write.Albums) > rowsPerInsert), "run an operation", func(ctx context.Context, tx *sql.Tx) error {
		albums, _, err := s.create(ctx, tx, write)
		if err != nil && !album.Outcome(err) {
			return err
		}
		if err := s.finish(ctx, tx, id, albums, err); err != nil {
			return err
		}
		return s.completeTx(ctx, tx, j)
	})
}

// begin marks an operation as running, and returns its Write.
func (s *Store) begin(ctx context.Context, id string) (w album.Write, request trace.SpanContext, err error) {
	var text, traceparent string
	err = s.tx(ctx, "start an operation", func(ctx context.Context, tx *sql.Tx) error {
		text = ""
		return s.query(ctx, tx, func(rows *sql.Rows) error { return rows.Scan(&text, &traceparent) },
			`UPDATE operations SET status = 'running', started_at = coalesce(started_at, $2)
WHERE id = $1 AND status IN ('queued', 'running') RETURNING request, traceparent`, id, s.dialect.time(album.Now()))
	})
	if err != nil {
		return w, request, err
	}
	if text == "" {
		return w, request, album.ErrNoOperation
	}
	ctx = propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	err = json.Unmarshal([]byte(text), &w)
	return w, trace.SpanContextFromContext(ctx), err
}

// finish stores the result of a running operation.
func (s *Store) finish(ctx context.Context, tx *sql.Tx, id string, albums []album.Album, failure error) error {
	status, column, value := album.Succeeded, "result", any(album.IDs(albums))
	if failure != nil {
		status, column, value = album.Failed, "failure", album.NewFailure(failure)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, tx, "UPDATE operations SET status = $2, request = NULL, finished_at = $3, "+column+" = $4 WHERE id = $1 AND status = 'running'",
		id, string(status), s.dialect.time(album.Now()), string(b))
	if err == nil && n == 0 {
		err = album.ErrNoOperation
	}
	return err
}

func (s *Store) completeTx(ctx context.Context, tx *sql.Tx, j *river.Job[job]) error {
	if s.dialect == postgres {
		return postgresql.complete(ctx, tx, j)
	}
	_, err := river.JobCompleteTx[*riversqlite.Driver](ctx, tx, j)
	return err
}
