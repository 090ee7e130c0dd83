package interop

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Row 30, continued: the clock jumps an hour ahead and then two back: nothing happens, whether ours is master or
// backup. Namespaces have no clock of their own and the machine's is everybody's, so ours is made to read another one: the
// function of the vDSO by which its two processes read the clock is replaced in their memory.
func TestRow30ClockJumps(t *testing.T) {
	t.Parallel()
	for _, role := range []struct {
		state     string
		ours, kas int
	}{{"master", 200, 100}, {"backup", 100, 200}} {
		t.Run("ours is "+role.state, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			our := startOurs(t, p.a, config(web(fmt.Sprintf("interval: 300ms, priority: %d", role.ours))))
			our.await("master")
			peer := startKeepalived(t, p.b, 3, kaWeb(fmt.Sprintf(" priority %d\n advert_int 0.3", role.kas)))
			before := our.await(role.state)
			for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
				our.setClock(ahead)
				if s, err := our.status(); err != nil || time.Until(s.Now).Round(time.Minute) != ahead {
					t.Fatalf("our agent's clock is %s ahead, want %s; %v", time.Until(s.Now), ahead, err)
				}
				if role.state == "master" {
					peer.hears(kaBackup, 8)
				} else {
					our.hears("backup", 8)
				}
				if i := our.await(role.state); i.Transitions != before.Transitions {
					t.Errorf("%s ahead: ours changed %d times after %d: %s", ahead, i.Transitions, before.Transitions, i.Reason)
				}
			}
			our.clean()
			peer.clean()
		})
	}
}

// setClock makes all processes of the agent read a clock that is ahead of the machine's.
func (o *ours) setClock(ahead time.Duration) {
	o.t.Helper()
	o.signalTree(syscall.SIGSTOP)
	for _, pid := range append(descendants(o.PID()), o.PID()) {
		if err := setClock(pid, ahead); err != nil {
			o.t.Fatalf("cannot set the clock of process %d: %v", pid, err)
		}
	}
	o.signalTree(syscall.SIGCONT)
}

// setClock replaces clock_gettime in a process: it asks the kernel, and adds so much to CLOCK_REALTIME.
func setClock(pid int, ahead time.Duration) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	start, end, err := vdso(pid)
	if err != nil {
		return err
	}
	image := make([]byte, end-start)
	if _, err := mem.ReadAt(image, start); err != nil {
		return err
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 7, // jne to the return
		0x48, 0x81, 0x06, // add qword [rsi], the seconds
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(ahead/time.Second)))
	code = append(code, 0xc3) // ret
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			if s.Size < uint64(len(code)) {
				return fmt.Errorf("the vDSO's function has %d bytes, want %d", s.Size, len(code))
			}
			_, err := mem.WriteAt(code, start+int64(s.Value))
			return err
		}
	}
	return fmt.Errorf("the vDSO has no clock_gettime")
}

// vdso is where the kernel's own library lies in a process.
func vdso(pid int) (start, end int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, "[vdso]") {
			continue
		}
		from, to, _ := strings.Cut(strings.Fields(line)[0], "-")
		if start, err = strconv.ParseInt(from, 16, 64); err != nil {
			return 0, 0, err
		}
		end, err = strconv.ParseInt(to, 16, 64)
		return start, end, err
	}
	return 0, 0, fmt.Errorf("process %d has no vDSO", pid)
}
