// Package otlp reads attributes in OTLP's JSON form.
package otlp

import "encoding/json"

// Attribute is an attribute of a resource, a span or a log record.
type Attribute struct {
	Key   string `json:"key"`
	Value Value  `json:"value"`
}

// Value is a value of an attribute, or the body of a log record.
type Value struct {
	String *string     `json:"stringValue"`
	Bool   *bool       `json:"boolValue"`
	Int    json.Number `json:"intValue"` // a text, or a number
	Double *float64    `json:"doubleValue"`
	Bytes  *string     `json:"bytesValue"` // base64
	Array  *struct {
		Values []Value `json:"values"`
	} `json:"arrayValue"`
	Map *struct {
		Values []Attribute `json:"values"`
	} `json:"kvlistValue"`
}

// Plain returns a value as JSON has it: a string, bool, json.Number, float64, list or map; nil if
// it is empty.
func (v Value) Plain() any {
	switch {
	case v.String != nil:
		return *v.String
	case v.Bool != nil:
		return *v.Bool
	case v.Int != "":
		return v.Int
	case v.Double != nil:
		return *v.Double
	case v.Bytes != nil:
		return *v.Bytes
	case v.Array != nil:
		list := []any{}
		for _, e := range v.Array.Values {
			list = append(list, e.Plain())
		}
		return list
	case v.Map != nil:
		m := map[string]any{}
		for _, e := range v.Map.Values {
			m[e.Key] = e.Value.Plain()
		}
		return m
	}
	return nil
}
