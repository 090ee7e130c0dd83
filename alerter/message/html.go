package message

import (
	"html/template"
	"strings"

	"keepwatch/alerter/rule"
)

// document is a mail before it is text or HTML.
type document struct {
	Language    string
	State       string
	Colour      string
	Headline    string
	Lines       []line
	About       string
	EventsTitle string
	Events      []line // when, what
	Link        template.URL
	LinkText    string
	Footer      string
}

// colours have a contrast of at least 4.5:1 with white.
var colours = map[rule.State]string{rule.OK: "#2b7a3d", rule.Warning: "#a35a00", rule.Critical: "#c0202b", rule.Unknown: "#5b6370"}

func (d *document) text(w *words) string {
	var b strings.Builder
	b.WriteString(d.State + w.colon + oneLine(d.Headline) + "\n")
	if len(d.Lines) > 0 {
		b.WriteByte('\n')
	}
	for _, l := range d.Lines {
		b.WriteString(l.Name + w.colon + oneLine(l.Value) + "\n")
	}
	if d.About != "" {
		b.WriteString("\n" + strings.TrimSpace(d.About) + "\n")
	}
	if len(d.Events) > 0 {
		b.WriteString("\n" + d.EventsTitle + strings.TrimSpace(w.colon) + "\n")
	}
	for _, e := range d.Events {
		b.WriteString("  " + e.Name + "  " + e.Value + "\n")
	}
	if d.Link != "" {
		b.WriteString("\n" + string(d.Link) + "\n")
	}
	return b.String()
}

func (d *document) html() string {
	var b strings.Builder
	// The template is a constant that has been executed by tests with every field: it cannot fail on a Builder.
	_ = page.Execute(&b, d)
	return b.String()
}

var page = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Headline}}</title></head>
<body style="margin:0;padding:16px;background:#f4f5f7;color:#1d2129;font:15px/1.5 -apple-system,'Segoe UI',Roboto,'Noto Sans','PingFang SC','Microsoft YaHei',sans-serif">
<div style="max-width:640px;margin:0 auto;background:#ffffff;border:1px solid #d9dce1">
<div style="padding:12px 16px;background:{{.Colour}};color:#ffffff"><strong>{{.State}}</strong></div>
<div style="padding:16px">
<p style="margin:0 0 12px;font-size:17px">{{.Headline}}</p>
{{- if .Lines}}
<table role="presentation" style="border-collapse:collapse;width:100%">
{{- range .Lines}}
<tr><td style="padding:4px 12px 4px 0;color:#5b6370;vertical-align:top;white-space:nowrap">{{.Name}}</td><td style="padding:4px 0;word-break:break-word">{{.Value}}</td></tr>
{{- end}}
</table>
{{- end}}
{{- if .About}}
<p style="margin:12px 0;white-space:pre-line">{{.About}}</p>
{{- end}}
{{- if .Events}}
<p style="margin:16px 0 4px;color:#5b6370">{{.EventsTitle}}</p>
<table role="presentation" style="border-collapse:collapse;width:100%">
{{- range .Events}}
<tr><td style="padding:2px 12px 2px 0;color:#5b6370;vertical-align:top;white-space:nowrap">{{.Name}}</td><td style="padding:2px 0;word-break:break-word">{{.Value}}</td></tr>
{{- end}}
</table>
{{- end}}
{{- if .Link}}
<p style="margin:16px 0 0"><a href="{{.Link}}" style="color:#1f5fbf">{{.LinkText}}</a></p>
{{- end}}
</div>
</div>
<p style="max-width:640px;margin:8px auto 0;color:#5b6370;font-size:12px">{{.Footer}}</p>
</body>
</html>
`))
