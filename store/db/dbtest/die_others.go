//go:build !linux

package dbtest

import "syscall"

// DieWithParent does nothing here: only Linux has it.
func DieWithParent(attr *syscall.SysProcAttr) *syscall.SysProcAttr { return attr }
