// Package bson replaces the MongoDB driver's in our programs: Gin links it for BSON bodies, which no
// handler reads or writes. It declares what Gin refers to, and returns errors.
package bson

import "errors"

var errReplaced = errors.New("this program is built without go.mongodb.org/mongo-driver/v2: remove its replace directive from go.mod")

// Marshal returns an error.
func Marshal(any) ([]byte, error) { return nil, errReplaced }

// Unmarshal returns an error.
func Unmarshal([]byte, any) error { return errReplaced }
