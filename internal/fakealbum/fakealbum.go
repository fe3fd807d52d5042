// Package fakealbum generates the albums of a fictional record shop. Album i of a seed is the same on
// every host, independent of other albums, so that the seed identifies every album.
//
// No two albums of a seed have the same title and artist. That needs no memory.
// Albums come in blocks of a thousand. Each block has slots for the same prolific artists, for
// artists that recur in every 4th, 16th or 64th block, and for many with a single album (Zipf's
// law). The titles of an artist are numbered, and each number gives a different title.
package fakealbum

import (
	"math"

	"soundcheck/internal/album"
)

// Unicode is the share of albums with characters beyond plain ASCII letters, unless a
// Catalogue sets another.
const Unicode = 0.05

// New returns album i of seed. It is valid and has no id.
func New(seed, i uint64) album.Album { return Catalogue{seed, Unicode}.Album(i) }

// Catalogue are the albums of a seed.
type Catalogue struct {
	Seed    uint64
	Unicode float64 // share of albums with &, quotes, accents, CJK, emoji or right-to-left text
}

// Domains of the pseudo-random numbers, so that choices are independent.
const (
	forBlock = iota
	forName
	forGenre
	forYears
	forYear
	forTitles
	forTemplate
	forPrice
	forUnicode
	forBroken
	forWay
)

// draw returns the pseudo-random number of the seed, a domain and n.
func (c Catalogue) draw(domain, n uint64) uint64 { return mix(mix(c.Seed^mix(domain+1)) ^ n) }

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform maps a pseudo-random number to [0, 1).
func uniform(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// shuffle returns the position of n in a permutation of 0 to size-1.
func shuffle(key, n, size uint64) uint64 {
	step := key % size
	for step < 2 && size > 2 || gcd(step, size) != 1 {
		step = (step + 1) % size
		if size <= 2 {
			step = 1
			break
		}
	}
	return (n*step + key>>32) % size
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Album returns album i. It is valid and has no id.
func (c Catalogue) Album(i uint64) album.Album {
	artist, nth := c.place(i)
	g := c.genre(artist)
	a := album.Album{Title: c.title(artist, nth), Artist: c.name(artist), Price: c.price(i), Genre: g.name, Year: c.year(artist, nth, g)}
	if h := c.draw(forUnicode, i); uniform(h) < c.Unicode {
		unusual(&a, h)
	}
	return a
}

// A block of albums: first the slots of prolific artists, in descending number, then those of artists
// that recur after a number of blocks.
const (
	block    = 1000
	prolific = 40 // artists
	most     = 24 // slots of the first one; the r-th has most/r
)

// levels are the other artists: slots per block, and the number of blocks after which they recur.
var levels = []struct{ places, blocks uint64 }{{500, 1}, {200, 4}, {120, 16}, {0, 64}}

// prolificAt is the first slot of each prolific artist.
var prolificAt [prolific + 1]uint64

func init() {
	for r := range uint64(prolific) {
		prolificAt[r+1] = prolificAt[r] + max(most/(r+1), 1)
	}
	rest := block - prolificAt[prolific]
	for _, l := range levels {
		rest -= l.places
	}
	levels[len(levels)-1].places = rest
}

// place returns the artist's number of album i, and the album's number among the artist's.
func (c Catalogue) place(i uint64) (artist, nth uint64) {
	b := i / block
	p := shuffle(c.draw(forBlock, b), i%block, block)
	if p < prolificAt[prolific] {
		r := uint64(0)
		for prolificAt[r+1] <= p {
			r++
		}
		places := prolificAt[r+1] - prolificAt[r]
		return r, b*places + p - prolificAt[r]
	}
	p -= prolificAt[prolific]
	for k, l := range levels {
		if p < l.places {
			return prolific + uint64(len(levels))*(b/l.blocks*l.places+p) + uint64(k), b % l.blocks
		}
		p -= l.places
	}
	panic("the places of a block are not as many as it has albums")
}

// genre is a genre with the years of its records.
type genre struct {
	name     string
	from, to int
}

var genres = []genre{
	{"Rock", 1956, 2025}, {"Pop", 1958, 2025}, {"Jazz", 1948, 2025}, {"Soul", 1959, 2020}, {"Hip-Hop", 1979, 2025}, {"Electronic", 1972, 2025},
	{"Folk", 1950, 2025}, {"Country", 1950, 2025}, {"Blues", 1950, 2015}, {"Classical", 1952, 2025}, {"Funk", 1967, 2015}, {"Reggae", 1968, 2020},
	{"Metal", 1970, 2025}, {"Punk", 1975, 2020}, {"R&B", 1960, 2025}, {"Indie Rock", 1984, 2025}, {"Ambient", 1976, 2025}, {"House", 1984, 2025},
	{"Techno", 1986, 2025}, {"Latin", 1952, 2025}, {"Gospel", 1950, 2020}, {"Bossa Nova", 1959, 1990}, {"Disco", 1973, 1986}, {"Shoegaze", 1988, 2020},
}

// genre of an artist: the first ones have more artists.
func (c Catalogue) genre(artist uint64) genre {
	u := uniform(c.draw(forGenre, artist))
	return genres[int(float64(len(genres))*u*u)]
}

// career is the number of an artist's active years.
const career = 25

func (c Catalogue) year(artist, nth uint64, g genre) int {
	begins := g.from + int(c.draw(forYears, artist)%uint64(max(g.to-g.from-career/3, 1)))
	return min(begins+int(c.draw(forYear, artist^mix(nth))%career), g.to)
}

// price is a typical price: mostly .99, sometimes round or reduced.
func (c Catalogue) price(i uint64) album.Cents {
	h := c.draw(forPrice, i)
	// Most records cost about 15, few more than 40.
	whole := album.Cents(100 * int(5+8*math.Exp(2*uniform(h))))
	switch h % 10 {
	case 0:
		return whole
	case 1:
		return whole + album.Cents(1+h/10%98)
	default:
		return whole + 99
	}
}
