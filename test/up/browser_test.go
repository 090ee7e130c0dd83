package up_test

import (
	"os"
	"os/exec"
	"testing"
)

// A person walks through the web app in a real browser: the story is ui/web/e2e.
func TestBrowserWalk(t *testing.T) {
	r := newPlace(t).start(t)
	r.until("the first password is printed", func() bool { return r.password() != "" })
	walk := exec.CommandContext(t.Context(), "npm", "run", "--silent", "e2e")
	walk.Dir = "../../ui/web"
	walk.Env = append(os.Environ(), "KEEPWATCH_TEST_URL="+r.url, "KEEPWATCH_TEST_PASSWORD="+r.password())
	out, err := walk.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nkeepwatch wrote:\n%s", err, out, r.out)
	}
	t.Logf("%s", out)
}
