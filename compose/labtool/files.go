package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"soundcheck/internal/cli"
)

// file is a line of the output of ls.
type file struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
}

func ls(_ context.Context, args []string, stdout io.Writer) error {
	entries, err := os.ReadDir(args[0])
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // rotated meanwhile
			continue
		}
		if err == nil && info.Mode().IsRegular() {
			err = json.NewEncoder(stdout).Encode(file{info.Name(), info.Size()})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func cat(_ context.Context, args []string, stdout io.Writer) error {
	var offset int64
	if len(args) == 2 {
		var err error
		if offset, err = strconv.ParseInt(args[1], 10, 64); err != nil || offset < 0 {
			return fmt.Errorf("offset %q is not a number of bytes", args[1])
		}
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(stdout, f)
	return err
}

// prepare copies this binary to a folder, sets owners of folders and creates secrets, in
// this order: a health check that runs already must find a complete binary.
func prepare(_ context.Context, args []string, stdout io.Writer) error {
	to := filepath.Join(args[0], "labtool")
	if err := cli.CopySelf(to, 0o555); err != nil {
		return fmt.Errorf("copy labtool to %s: %w", args[0], err)
	}
	for _, arg := range args[1:] {
		if dir, ok := strings.CutPrefix(arg, "secrets="); ok {
			made, err := makeSecrets(dir, databaseSecrets)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: %s\n", dir, map[bool]string{true: "password created", false: "password exists"}[made])
			continue
		}
		path, owner, ok := strings.Cut(arg, "=")
		uid, gid, ok2 := strings.Cut(owner, ":")
		u, err := strconv.Atoi(uid)
		g, err2 := strconv.Atoi(gid)
		if !ok || !ok2 || err != nil || err2 != nil || u < 0 || g < 0 {
			return fmt.Errorf("%q is not PATH=UID:GID", arg)
		}
		if err := chown(path, u, g); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: owner %d:%d\n", path, u, g)
	}
	return nil
}

// chown sets the owner of a folder, but not of its files: new volumes are empty, and the files
// in others belong to their user. Root without further capabilities cannot even
// read those.
func chown(path string, uid, gid int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if owned(info, uid, gid) {
		return nil
	}
	return os.Chown(path, uid, gid)
}

func owned(info fs.FileInfo, uid, gid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid && int(st.Gid) == gid
}
