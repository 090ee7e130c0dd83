package logs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"keepwatch/internal/conf"
)

func TestNew(t *testing.T) {
	for format, want := range map[string]string{"text": `level=WARN msg=careful host=a`, "json": `"level":"WARN","msg":"careful","host":"a"}`} {
		var out bytes.Buffer
		var level slog.LevelVar
		log := New(&out, conf.Log{Format: format, Level: "warn"}, &level)
		log.Info("quiet")
		log.Warn("careful", "host", "a")
		if !strings.HasSuffix(out.String(), want+"\n") || strings.Contains(out.String(), "quiet") {
			t.Errorf("%s: got %s", format, &out)
		}
		SetLevel(conf.Log{Level: "debug"}, &level)
		log.Debug("loud")
		if !strings.Contains(out.String(), "loud") {
			t.Errorf("%s: the level stays", format)
		}
	}
}
