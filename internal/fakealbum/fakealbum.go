// Package fakealbum makes up albums that look like a record shop's. Album i of a
// seed is the same on every machine, whatever came before it, so that whoever
// knows the seed knows every album without asking the store.
package fakealbum

import (
	"math/rand/v2"

	"github.com/brianvoe/gofakeit/v7"

	"soundcheck/internal/album"
)

// New returns album i of seed. It is valid and has no id. Different i can give
// the same title and artist.
func New(seed, i uint64) album.Album {
	// A generator for each record: the next one must not depend on what this one
	// drew. Its own source: seeding an existing Faker reseeds the global one.
	f := gofakeit.NewFaker(rand.NewPCG(seed, i), false)
	by := artist(f)
	return album.Album{Title: title(f, by), Artist: by, Price: price(f)}
}

// gofakeit knows 99 song names and 100 artists; most titles and many artists are
// composed, as in a real shop.
func title(f *gofakeit.Faker, by string) string {
	switch f.Number(0, 9) {
	case 0:
		return f.SongName()
	case 1:
		return "Live at " + f.City()
	case 2:
		return "The Best of " + by
	case 3, 4:
		return capital(f.NounAbstract()) + " and " + capital(f.NounAbstract())
	case 5:
		return capital(f.SafeColor()) + " " + capital(f.NounConcrete())
	default:
		return capital(f.AdjectiveDescriptive()) + " " + capital(f.NounCommon())
	}
}

func artist(f *gofakeit.Faker) string {
	switch f.Number(0, 4) {
	case 0:
		return "The " + capital(f.AdjectiveDescriptive()) + " " + capital(f.NounConcrete()) + "s"
	case 1:
		return f.FirstName() + " " + f.LastName()
	default:
		return f.SongArtist()
	}
}

// price is one shops ask: mostly something .99, sometimes round or reduced.
func price(f *gofakeit.Faker) album.Cents {
	whole := album.Cents(100 * f.Number(4, 60))
	switch f.Number(0, 9) {
	case 0:
		return whole
	case 1:
		return whole + album.Cents(f.Number(1, 98))
	default:
		return whole + 99
	}
}

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
