#!/bin/sh
# Builds the release binaries of a commit, and SHA256SUMS, into dist/. The same commit, tags and version
# of Go give the same bytes:
# -trimpath removes local paths, CGO_ENABLED=0 removes the C compiler, and the variables below
# override local settings.
#   tools/dist.sh [platform ...]      as in linux/amd64; default: all four
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
export CGO_ENABLED=0 GOFLAGS= GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT= GOWORK=off
rm -rf dist
mkdir dist
for platform; do
	os=${platform%/*} arch=${platform#*/}
	echo "dist: $platform"
	GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=true -ldflags='-s -w' -o "dist/$os-$arch/" ./datagen ./lab ./loadgen ./proxy ./store
	for program in dist/"$os-$arch"/*; do
		mv "$program" "dist/${program##*/}-$os-$arch"
	done
	rmdir "dist/$os-$arch"
done
cd dist
if command -v sha256sum >/dev/null; then sha256sum -- *; else shasum -a 256 -- *; fi >.sums
mv .sums SHA256SUMS
echo "dist: $(wc -l <SHA256SUMS | tr -d ' ') binaries of $(git describe --tags --always --dirty)"
