package values

import (
	"encoding/base64"
	"strings"
	"time"
)

// formats are strings by their format.
var formats = map[string]func(*Values) string{
	"uuid":          func(v *Values) string { return v.UUID() },
	"email":         func(v *Values) string { return v.Email() },
	"idn-email":     func(v *Values) string { return v.Email() },
	"uri":           func(v *Values) string { return v.URL() },
	"url":           func(v *Values) string { return v.URL() },
	"iri":           func(v *Values) string { return v.URL() },
	"uri-reference": func(v *Values) string { return "/" + v.word() },
	"iri-reference": func(v *Values) string { return "/" + v.word() },
	"hostname":      func(v *Values) string { return v.DomainName() },
	"idn-hostname":  func(v *Values) string { return v.DomainName() },
	"ipv4":          func(v *Values) string { return v.IPv4Address() },
	"ipv6":          func(v *Values) string { return v.IPv6Address() },
	"ip":            func(v *Values) string { return v.IPv4Address() },
	"mac":           func(v *Values) string { return v.MacAddress() },
	"date-time":     func(v *Values) string { return v.when().Format(time.RFC3339) },
	"date":          func(v *Values) string { return v.when().Format(time.DateOnly) },
	"time":          func(v *Values) string { return v.when().Format(time.TimeOnly) + "Z" },
	"duration":      func(v *Values) string { return "PT" + v.Numerify("1#") + "M" },
	"byte":          func(v *Values) string { return base64.StdEncoding.EncodeToString([]byte(v.word())) },
	"json-pointer":  func(v *Values) string { return "/" + v.word() },
	"regex":         func(v *Values) string { return "^" + v.word() + "$" },
	"phone":         func(v *Values) string { return v.PhoneFormatted() },
}

// named are strings by the normalized name of their property or parameter.
var named = map[string]func(*Values) string{
	"email": formats["email"], "mail": formats["email"], "emailaddress": formats["email"],
	"url": formats["url"], "uri": formats["url"], "website": formats["url"], "homepage": formats["url"], "link": formats["url"], "href": formats["url"],
	"photourl": formats["url"], "imageurl": formats["url"], "avatar": formats["url"], "callbackurl": formats["url"],
	"uuid": formats["uuid"], "guid": formats["uuid"], "idempotencykey": formats["uuid"], "requestid": formats["uuid"], "correlationid": formats["uuid"],
	"ip": formats["ipv4"], "ipaddress": formats["ipv4"], "hostname": formats["hostname"], "host": formats["hostname"], "domain": formats["hostname"],
	"name":        func(v *Values) string { return v.Name() },
	"fullname":    func(v *Values) string { return v.Name() },
	"displayname": func(v *Values) string { return v.Name() },
	"author":      func(v *Values) string { return v.Name() },
	"owner":       func(v *Values) string { return v.Name() },
	"firstname":   func(v *Values) string { return v.FirstName() },
	"givenname":   func(v *Values) string { return v.FirstName() },
	"lastname":    func(v *Values) string { return v.LastName() },
	"familyname":  func(v *Values) string { return v.LastName() },
	"surname":     func(v *Values) string { return v.LastName() },
	"username":    func(v *Values) string { return v.Username() },
	"user":        func(v *Values) string { return v.Username() },
	"login":       func(v *Values) string { return v.Username() },
	"password":    func(v *Values) string { return v.Password(true, true, true, false, false, 12) },
	"phone":       func(v *Values) string { return v.PhoneFormatted() },
	"phonenumber": func(v *Values) string { return v.PhoneFormatted() },
	"mobile":      func(v *Values) string { return v.PhoneFormatted() },
	"street":      func(v *Values) string { return v.Street() },
	"address":     func(v *Values) string { return v.Street() },
	"city":        func(v *Values) string { return v.City() },
	"state":       func(v *Values) string { return v.State() },
	"region":      func(v *Values) string { return v.State() },
	"zip":         func(v *Values) string { return v.Zip() },
	"zipcode":     func(v *Values) string { return v.Zip() },
	"postalcode":  func(v *Values) string { return v.Zip() },
	"postcode":    func(v *Values) string { return v.Zip() },
	"country":     func(v *Values) string { return v.Country() },
	"countrycode": func(v *Values) string { return v.CountryAbr() },
	"company":     func(v *Values) string { return v.Company() },
	"jobtitle":    func(v *Values) string { return v.JobTitle() },
	"title":       func(v *Values) string { return v.BookTitle() },
	"artist":      func(v *Values) string { return v.SongArtist() },
	"genre":       func(v *Values) string { return v.SongGenre() },
	"product":     func(v *Values) string { return v.ProductName() },
	"productname": func(v *Values) string { return v.ProductName() },
	"category":    func(v *Values) string { return v.ProductCategory() },
	"color":       func(v *Values) string { return v.Color() },
	"currency":    func(v *Values) string { return v.CurrencyShort() },
	"language":    func(v *Values) string { return v.LanguageAbbreviation() },
	"timezone":    func(v *Values) string { return v.TimeZoneRegion() },
	"description": func(v *Values) string { return v.Sentence() },
	"summary":     func(v *Values) string { return v.Sentence() },
	"comment":     func(v *Values) string { return v.Sentence() },
	"message":     func(v *Values) string { return v.Sentence() },
	"text":        func(v *Values) string { return v.Sentence() },
	"note":        func(v *Values) string { return v.Sentence() },
	"notes":       func(v *Values) string { return v.Sentence() },
	"content":     func(v *Values) string { return v.Sentence() },
}

// fake returns a string by format or name, else a word.
func (v *Values) fake(n *Node) string {
	if f := formats[n.schema.Format]; f != nil {
		return f(v)
	}
	if f := named[n.name]; f != nil {
		return f(v)
	}
	if strings.HasSuffix(n.name, "url") || strings.HasSuffix(n.name, "uri") {
		return v.URL()
	}
	return v.word()
}

// when is a time that depends on the seed alone.
func (v *Values) when() time.Time {
	const years = 30
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(v.r.Int64N(years*365*24*60*60)) * time.Second)
}
