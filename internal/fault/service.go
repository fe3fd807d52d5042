package fault

import (
	"context"
	"iter"
	"time"

	"soundcheck/internal/album"
)

// Service returns svc with the faults of a database: db-lock, conn-leak, stall, slots and db-delay,
// in this order.
func (s *Set) Service(svc album.Service) album.Service {
	db, _ := svc.(Database)
	return &service{svc, s, db}
}

// Database is a store with connections and a lock: conn-leak and db-lock need it. See Exclude.
type Database interface {
	// Keep takes a connection of those for reads until release is called.
	Keep(context.Context) (release func(), err error)
	// Lock takes the lock for writes until release is called.
	Lock(context.Context) (release func(), err error)
}

type service struct {
	svc    album.Service
	faults *Set
	db     Database // nil: none
}

// enterDatabase applies the faults that need a Database.
func (s *service) enterDatabase(ctx context.Context) error {
	m := met{Set: s.faults}
	if f := s.faults.get(DBLock); f != nil {
		if d := f.stalled(time.Now()); d > 0 {
			m.touch(ctx, DBLock)
			if f.locked.CompareAndSwap(false, true) {
				go s.lock(f, d)
			}
		}
	}
	f := s.faults.chance(ConnLeak)
	if f == nil {
		return nil
	}
	m.touch(ctx, ConnLeak)
	release, err := s.db.Keep(ctx)
	if err != nil {
		return err
	}
	go func() {
		<-f.over
		release()
	}()
	return nil
}

// lock holds the lock for d, less the time until it gets it.
func (s *service) lock(f *fault, d time.Duration) {
	defer f.locked.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	release, err := s.db.Lock(ctx)
	if err != nil {
		return // it is busy for longer than this
	}
	defer release()
	select {
	case <-ctx.Done():
	case <-f.over:
	}
}

// enter applies the faults of a call. The caller calls leave when its work is done.
func (s *service) enter(ctx context.Context) (leave func(), err error) {
	if s.db != nil {
		if err := s.enterDatabase(ctx); err != nil {
			return nil, err
		}
	}
	return s.faults.enter(ctx)
}

// enter applies stall, slots and db-delay.
func (s *Set) enter(ctx context.Context) (leave func(), err error) {
	m := met{Set: s}
	leave = func() {}
	if f := s.get(Stall); f != nil {
		if d := f.stalled(time.Now()); d > 0 {
			if err := m.wait(ctx, f, d); err != nil {
				return leave, err
			}
		}
	}
	if f := s.get(Slots); f != nil {
		if leave, err = m.worker(ctx, f); err != nil {
			return leave, err
		}
	}
	if f := s.chance(DBDelay); f != nil {
		if err := m.wait(ctx, f, f.delay); err != nil {
			leave()
			return func() {}, err
		}
	}
	return leave, nil
}

// worker waits for a free worker, even if their number changes.
func (m *met) worker(ctx context.Context, f *fault) (leave func(), err error) {
	select {
	case f.slots <- struct{}{}:
		return func() { <-f.slots }, nil
	default:
	}
	defer m.meet(ctx, Slots).End()
	for ; f != nil; f = m.get(Slots) {
		select {
		case f.slots <- struct{}{}:
			return func() { <-f.slots }, nil
		case <-f.over:
		case <-ctx.Done():
			return func() {}, ctx.Err()
		}
	}
	return func() {}, nil
}

// List implements album.Service.
func (s *service) List(ctx context.Context, q album.Query) (album.Page, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return album.Page{}, err
	}
	defer leave()
	return s.svc.List(ctx, q)
}

// Stream implements album.Service. It applies faults once, at the start.
func (s *service) Stream(ctx context.Context, f album.Filter) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		leave, err := s.enter(ctx)
		if err != nil {
			yield(album.Album{}, err)
			return
		}
		defer leave()
		s.svc.Stream(ctx, f)(yield)
	}
}

// Get implements album.Service.
func (s *service) Get(ctx context.Context, id int64) (album.Album, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return album.Album{}, err
	}
	defer leave()
	return s.svc.Get(ctx, id)
}

// Put implements album.Service.
func (s *service) Put(ctx context.Context, a album.Album) (_ album.Album, created bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return album.Album{}, false, err
	}
	defer leave()
	return s.svc.Put(ctx, a)
}

// Delete implements album.Service.
func (s *service) Delete(ctx context.Context, id int64) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.svc.Delete(ctx, id)
}

// Create implements album.Service.
func (s *service) Create(ctx context.Context, w album.Write) (album.Created, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return album.Created{}, err
	}
	defer leave()
	return s.svc.Create(ctx, w)
}

// Submit implements album.Service.
func (s *service) Submit(ctx context.Context, w album.Write) (_ album.Operation, replayed bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return album.Operation{}, false, err
	}
	defer leave()
	return s.svc.Submit(ctx, w)
}

// Operation implements album.Service.
func (s *service) Operation(ctx context.Context, id string) (album.Operation, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return album.Operation{}, err
	}
	defer leave()
	return s.svc.Operation(ctx, id)
}
