package fakealbum

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/brianvoe/gofakeit/v7/data"

	"soundcheck/internal/album"
)

// Words that names and titles are made of, each with a capital, sorted, none twice.
var (
	firstNames = words(data.Person["first"], nil)
	lastNames  = words(data.Person["last"], nil)
	persons    = append(slices.Clone(firstNames), lastNames...)
	// A band called as two words must not be called as a person.
	nouns      = slices.DeleteFunc(words(append(slices.Clone(data.Word["noun_concrete"]), data.Word["noun_countable"]...), persons), isPlural)
	abstracts  = words(data.Word["noun_abstract"], append(persons, nouns...))
	adjectives = words(data.Word["adjective_descriptive"], append(persons, nouns...))
	cities     = words(data.Address["city"], nil)
	famous     = phrases(data.Songs["artist"])
	songs      = phrases(data.Songs["name"])
	editions   = []string{"Greatest Hits", "The Collection", "Early Recordings", "Rarities", "Unplugged", "The Singles", "Remixes", "Sessions"}
	ensembles  = []string{"Trio", "Quartet", "Quintet", "Orchestra", "Collective", "Ensemble", "Brothers", "Sisters", "Project", "Choir",
		"Band", "Sound System", "Players", "Union", "Society", "Department", "Connection", "Experience", "Company", "Club"}
)

var word = regexp.MustCompile(`^[A-Za-z]{3,12}$`)

// words returns those of a list that are one plain word, less others.
func words(list, less []string) []string {
	not := map[string]bool{}
	for _, w := range less {
		not[w] = true
	}
	var out []string
	for _, w := range list {
		if !word.MatchString(w) {
			continue
		}
		if w = capital(w); !not[w] {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var phrase = regexp.MustCompile(`^[A-Za-z][A-Za-z' ]{2,30}$`)

// phrases returns those of a list that could not be made of the words above.
func phrases(list []string) []string {
	known := map[string]bool{"The": true, "Of": true, "And": true, "At": true, "For": true, "Live": true, "Songs": true}
	for _, l := range [][]string{nouns, abstracts, adjectives} {
		for _, w := range l {
			known[w], known[plural(w)] = true, true
		}
	}
	var out []string
	for _, p := range list {
		made := !phrase.MatchString(p)
		if parts := strings.Fields(p); !made {
			made = !slices.ContainsFunc(parts, func(w string) bool { return !known[capital(w)] })
		}
		if !made {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func isPlural(noun string) bool { return strings.HasSuffix(noun, "s") }

// plural is one to one for nouns that are not plural.
func plural(noun string) string {
	for _, end := range []string{"x", "ch", "sh"} {
		if strings.HasSuffix(noun, end) {
			return noun + "es"
		}
	}
	if n := len(noun); noun[n-1] == 'y' && !strings.ContainsRune("aeiou", rune(noun[n-2])) {
		return noun[:n-1] + "ies"
	}
	return noun + "s"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func size(list []string) uint64 { return uint64(len(list)) }

// two returns the words of two lists that number n stands for.
func two(n uint64, a, b []string) (string, string) { return a[n/size(b)%size(a)], b[n%size(b)] }

// name returns an artist's name. No two artists have the same.
func (c Catalogue) name(artist uint64) string {
	if artist < prolific {
		return famous[shuffle(c.draw(forName, 0), artist, size(famous))]
	}
	// Of eight artists five are persons, two bands, and one an ensemble.
	artist -= prolific
	q, r := artist/8, artist%8
	switch {
	case r < 5:
		n, all := q*5+r, size(firstNames)*size(lastNames)
		first, last := two(shuffle(c.draw(forName, 1), n%all, all), firstNames, lastNames)
		name := first + " " + last
		if again := n / all; again > 0 {
			name = first + " " + initial(again) + " " + last
		} else if slices.Contains(famous, name) {
			name += " Jr."
		}
		return name
	case r < 7:
		n, all := q*2+r-5, size(adjectives)*size(nouns)
		adjective, noun := two(shuffle(c.draw(forName, 2), n%all, all), adjectives, nouns)
		name := "The " + adjective + " " + plural(noun)
		if again := n / all; again > 0 {
			name += " of " + cities[(again-1)%size(cities)] + volume("", (again-1)/size(cities))
		}
		return name
	}
	all := size(nouns) * size(ensembles)
	noun, ensemble := two(shuffle(c.draw(forName, 3), q%all, all), nouns, ensembles)
	name := noun + " " + ensemble
	if again := q / all; again > 0 {
		name = cities[(again-1)%size(cities)] + " " + name + volume("", (again-1)/size(cities))
	}
	return name
}

// initial is a letter, and after 26 of them a number.
func initial(n uint64) string {
	if n <= 26 {
		return string(rune('A'+n-1)) + "."
	}
	return strconv.FormatUint(n, 10)
}

// volume distinguishes equal names: "" for the first.
func volume(before string, n uint64) string {
	if n == 0 {
		return ""
	}
	return before + " " + strconv.FormatUint(n+1, 10)
}

// templates are kinds of titles: how many of twenty titles of an artist are of the kind,
// how many there are, and the n-th of them.
var templates = []struct {
	share uint64
	size  uint64
	make  func(n uint64) string
}{
	{7, size(adjectives) * size(nouns), func(n uint64) string { a, b := two(n, adjectives, nouns); return a + " " + b }},
	{3, size(nouns) * size(abstracts), func(n uint64) string { a, b := two(n, nouns, abstracts); return plural(a) + " of " + b }},
	{3, size(adjectives) * size(abstracts), func(n uint64) string { a, b := two(n, adjectives, abstracts); return "The " + a + " " + b }},
	{2, size(nouns) * size(abstracts), func(n uint64) string { a, b := two(n, abstracts, nouns); return a + " and " + b }},
	{1, size(cities), func(n uint64) string { return "Live in " + cities[n] }},
	{1, size(editions), func(n uint64) string { return editions[n] }},
	{1, size(nouns), func(n uint64) string { return nouns[n] }},
	{1, size(songs), func(n uint64) string { return songs[n] }},
	{1, size(abstracts), func(n uint64) string { return "Songs for " + abstracts[n] }},
}

const round = 20 // the sum of the shares

// title returns the title of an artist's nth album. No two of an artist are the same.
func (c Catalogue) title(artist, nth uint64) string {
	// Each artist begins elsewhere in the round, so that not all have one kind first.
	n := nth + c.draw(forTemplate, artist)%round
	q, r := n/round, n%round
	for k, t := range templates {
		if r >= t.share {
			r -= t.share
			continue
		}
		n := q*t.share + r
		return t.make(shuffle(c.draw(forTitles, artist^uint64(k)<<56), n%t.size, t.size)) + volume(", Vol.", n/t.size)
	}
	panic("the shares of the templates are not a round")
}

// unusual adds characters that real names have and software gets wrong. It is injective: different
// albums stay different.
func unusual(a *album.Album, h uint64) {
	switch h % 8 {
	case 0:
		a.Title += " & Other Stories"
	case 1:
		a.Title = `"` + a.Title + `"`
	case 2:
		a.Title += " (Édition spéciale)"
	case 3:
		a.Title += " – 東京公演"
	case 4:
		a.Title += " 🎸"
	case 5:
		a.Title += " (عودة)"
	case 6:
		a.Artist += " & Søren Ångström"
	default:
		a.Artist += " y Los Ñandúes"
	}
}
