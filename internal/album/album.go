// Package album is the domain of the lab: what an album is, which albums are
// valid, and the Service that stores them. It does not depend on HTTP, on a database or on an
// exporter.
package album

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of an album's fields.
const (
	MinText  = 2          // characters in a title or an artist
	MaxText  = 1000       // characters in a title or an artist
	MinPrice = Cents(1)   // 0.01
	MaxPrice = Cents(1e6) // 10000.00
	MaxGenre = 100        // characters in a genre
	MinYear  = 1860       // of the oldest recording there is
	MaxYear  = 2100
)

// Album is one record in the shop.
type Album struct {
	ID     int64  `json:"id"` // at least 1; 0 in an album to create: assigned by the store
	Title  string `json:"title"`
	Artist string `json:"artist"`
	Price  Cents  `json:"price"`
	Genre  string `json:"genre,omitempty"` // empty: unknown
	Year   int    `json:"year,omitempty"`  // of the release; 0: unknown
	// CreatedAt is when the album was created. The store sets it.
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// Seed returns the three albums of a new store, created now.
func Seed() []Album {
	now := Now()
	return []Album{
		{ID: 1, Title: "Blue Train", Artist: "John Coltrane", Price: 5699, Genre: "Jazz", Year: 1958, CreatedAt: now},
		{ID: 2, Title: "Jeru", Artist: "Gerry Mulligan", Price: 1799, Genre: "Jazz", Year: 1962, CreatedAt: now},
		{ID: 3, Title: "Sarah Vaughan and Clifford Brown", Artist: "Sarah Vaughan", Price: 3999, Genre: "Jazz", Year: 1955, CreatedAt: now},
	}
}

// Validate returns nil, or an *InvalidError that names every field of a that is
// out of its limits. An ID of 0 is valid: the store assigns one.
func Validate(a Album) error {
	var e InvalidError
	if a.ID < 0 {
		e.Add("id", BelowMinimum)
	}
	e.text("title", a.Title)
	e.text("artist", a.Artist)
	switch {
	case a.Price < MinPrice:
		e.Add("price", BelowMinimum)
	case a.Price > MaxPrice:
		e.Add("price", AboveMaximum)
	}
	switch {
	case utf8.RuneCountInString(a.Genre) > MaxGenre:
		e.Add("genre", AboveMaximum)
	case strings.ContainsRune(a.Genre, 0):
		e.Add("genre", noNUL)
	}
	switch {
	case a.Year == 0:
	case a.Year < MinYear:
		e.Add("year", BelowMinimum)
	case a.Year > MaxYear:
		e.Add("year", AboveMaximum)
	}
	return e.Err()
}

// PostgreSQL cannot store it, so every store rejects it.
const noNUL = "must not contain the NUL character"

func (e *InvalidError) text(field, s string) {
	n := utf8.RuneCountInString(s)
	switch {
	case n == 0:
		e.Add(field, Required)
	case n < MinText:
		e.Add(field, BelowMinimum)
	case n > MaxText:
		e.Add(field, AboveMaximum)
	case strings.ContainsRune(s, 0):
		e.Add(field, noNUL)
	}
}

// Cents is a price in hundredths, so that sums and comparisons are exact. In
// JSON it is a number with two decimals: 5699 is 56.99.
type Cents int64

// ParseCents reads a decimal number such as 56.99 or 1e2. Numbers out of an
// album's price range are clamped just outside it, so that Validate rejects them. An error means
// that s is no number or has more than two decimals.
func ParseCents(s string) (Cents, error) {
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case math.IsNaN(f) || err != nil && !math.IsInf(f, 0):
		return 0, fmt.Errorf("must be a number")
	case f <= 0:
		return MinPrice - 1, nil
	case f > float64(MaxPrice)/100:
		return MaxPrice + 1, nil
	}
	// f is only an approximation: neighbouring decimals parse to the same float.
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	power, _ := strconv.Atoi(exponent) // no exponent: 0; f is in range, and so is power, except for zeros
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	power += len(whole) - len(digits)
	if power < -2 {
		return 0, fmt.Errorf("must have at most two decimals")
	}
	n, err := strconv.ParseInt(digits+strings.Repeat("0", power+2), 10, 64)
	if err != nil { // hexadecimal
		return 0, fmt.Errorf("must be a number")
	}
	return Cents(n), nil
}

func (c Cents) String() string { return string(c.Append(nil)) }

// Append appends c with two decimals, as String returns it.
func (c Cents) Append(b []byte) []byte {
	n := uint64(c)
	if c < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendUint(b, n/100, 10)
	return append(b, '.', byte('0'+n/10%10), byte('0'+n%10))
}

// MarshalJSON writes c as a JSON number with two decimals.
func (c Cents) MarshalJSON() ([]byte, error) { return c.Append(nil), nil }

// UnmarshalJSON reads a JSON number; see ParseCents.
func (c *Cents) UnmarshalJSON(b []byte) (err error) {
	if *c, err = ParseCents(string(b)); err != nil {
		return fmt.Errorf("price %s %w", b, err)
	}
	return nil
}
