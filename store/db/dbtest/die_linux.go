package dbtest

import "syscall"

// DieWithParent makes a process end when the test that started it was killed.
func DieWithParent(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Pdeathsig = syscall.SIGQUIT
	return attr
}
