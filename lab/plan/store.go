package plan

import (
	"path/filepath"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/lab/build"
)

// StoreName is the name of the album store, which can be external.
const StoreName = "album-store"

// FullStore is the album store with every database.
func FullStore() build.Target {
	t := serviceTarget(StoreName, "store")
	t.Early = []string{"modernc.org/sqlite/lib"} // one package, a tenth of the build
	return t
}

// storeTarget is the album store with the lab's database alone: the libraries of the others take
// most of the time until it serves. Each is a binary of its own, so that a lab that switches
// between databases builds each once.
func (l Lab) storeTarget() build.Target {
	t := FullStore()
	switch db := l.db(); {
	case db == memory:
		t.Name, t.Tags, t.Early = t.Name+"-memory", t.Tags+",nodatabase", nil
	case strings.HasPrefix(db, sqlite):
		t.Name, t.Tags = t.Name+"-sqlite", t.Tags+",nopostgres"
	}
	return t
}

func (l Lab) store() Component {
	p := l.service(StoreName, "store", StorePort, storeAdminPort)
	p.Target = l.storeTarget()
	p.Env = append(p.Env, "SOUNDCHECK_STORE_DB="+l.db()) // not an argument: it can hold a password
	return p
}

// Database returns the album store's database without its password; "" for
// external stores.
func (l Lab) Database() string {
	if len(l.Stores) > 0 {
		return ""
	}
	return cli.WithoutPassword(l.db())
}

func (l Lab) db() string {
	if l.DB != "" {
		return l.DB
	}
	return sqlite + filepath.Join(l.data(StoreName), "albums.db")
}

// Values of DB.
const (
	memory = "memory"
	sqlite = "sqlite:" // a prefix
)
