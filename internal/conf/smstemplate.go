package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"text/template"
	"text/template/parse"
)

// SMSMessage is what the templates of SMSGateway see.
type SMSMessage struct {
	To     string // number of the receiver
	Text   string // the message
	ID     string // the notification's id, for gateways that refuse repeats
	Secret string // content of secret_file
}

// maxTemplate bounds a template, in bytes.
const maxTemplate = 16 << 10

// ParseSMSTemplate reads a template of SMSGateway: values, conditions, and the functions query, which escapes for a
// URL's query, and json, which escapes for the inside of a JSON string. Loops and named templates are refused: a
// message is one, and a template that does not end would hold up all others. Execute it with an SMSMessage.
func ParseSMSTemplate(text string) (*template.Template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), maxTemplate)
	}
	t, err := template.New("sms").Funcs(template.FuncMap{"query": url.QueryEscape, "json": jsonText}).Parse(text)
	if err != nil {
		return nil, err
	}
	if t.Tree == nil {
		return t, nil
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("named templates are not allowed")
	}
	return t, plainNodes(t.Root)
}

// jsonText is s as it stands between the quotes of a JSON string.
func jsonText(s string) (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return string(b[1 : len(b)-1]), nil
}

func plainNodes(l *parse.ListNode) error {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		var err error
		switch n := n.(type) {
		case *parse.TextNode, *parse.ActionNode, *parse.CommentNode:
		case *parse.IfNode:
			err = errors.Join(plainNodes(n.List), plainNodes(n.ElseList))
		default:
			err = errors.New("want values and conditions only, no loops")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
