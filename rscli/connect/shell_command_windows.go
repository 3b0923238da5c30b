package connect

import (
	"context"
	"os/exec"
	"syscall"
)

// shellCommand gives cmd.exe the line as it is: it does not know the quoting that
// programs are started with otherwise, and with /s takes exactly the outer quotes
// away ("cmd /?" says so).
func shellCommand(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /d /s /c "` + line + `"`}
	return cmd
}
