package resident

import "testing"

func TestReadOnly(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-0092a000 r-xp 00000000 fe:00 10791259                           /bin/program\n": true,
		"0092a000-00ea1000 r--p 0052a000 fe:00 10791259                           /bin/program\n": true,
		"00ea1000-00f01000 rw-p 00aa1000 fe:00 10791259                           /bin/program\n": false,
		"0092a000-00ea1000 r--p 0052a000 fe:00 10791259                           /bin/other\n":   false,
		"0092a000-00ea1000 r--p 0052a000 fe:00 10791259 /bin/program (deleted)\n":                 false,
		"7f00-7f01 r--p 00000000 00:00 0\n":                                                       false,
		"x-y r--p 0 0:0 1 /bin/program\n":                                                         false,
		"":                                                                                        false,
	} {
		if _, _, got := readOnly(line, "/bin/program"); got != want {
			t.Errorf("%q: got %t", line, got)
		}
	}
	if from, to, _ := readOnly("00400000-0092a000 r-xp 0 fe:00 1 /p\n", "/p"); from != 0x400000 || to != 0x92a000 {
		t.Errorf("got %x-%x", from, to)
	}
}
