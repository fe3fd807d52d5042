package fault

import (
	"context"

	"soundcheck/internal/album"
)

// Client returns svc, a client of the store, with the faults of clients: n-plus-one.
func (s *Set) Client(svc album.Service) album.Service { return &client{svc, s} }

type client struct {
	album.Service
	faults *Set
}

// List implements album.Service.
func (c *client) List(ctx context.Context, q album.Query) (album.Page, error) {
	page, err := c.Service.List(ctx, q)
	if err != nil || c.faults.chance(NPlusOne) == nil {
		return page, err
	}
	m := met{Set: c.faults}
	m.touch(ctx, NPlusOne)
	for _, a := range page.Albums {
		// An album that was deleted meanwhile, or an error, must not change the response.
		if _, err := c.Service.Get(ctx, a.ID); err != nil && ctx.Err() != nil {
			return page, ctx.Err()
		}
	}
	return page, nil
}
