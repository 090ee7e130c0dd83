package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"regexp"
	"strings"

	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// ContactInput is what a person says of a contact.
type ContactInput struct {
	Name     string `json:"name" minLength:"1" maxLength:"100"`
	Email    string `json:"email" maxLength:"254"`
	Phone    string `json:"phone" maxLength:"32" doc:"E.164: +8613800138000"`
	Language string `json:"language" enum:"en,zh" doc:"of the messages"`
	SMSFrom  string `json:"sms_from" enum:"warning,critical" doc:"short messages go out from this state on; mails from warning on"`
	Enabled  bool   `json:"enabled"`
}

// Contact is a person or a group that is told.
type Contact struct {
	ContactInput
	ID         int32 `json:"id"`
	Thresholds int32 `json:"thresholds" doc:"that tell this contact"`
	UpdatedAt  Time  `json:"updated_at"`
}

func contactOf(r db.UIContactsRow) Contact {
	return Contact{
		ContactInput: ContactInput{Name: r.Name, Email: r.Email, Phone: r.Phone, Language: r.Language, SMSFrom: r.SmsFrom, Enabled: r.Enabled},
		ID:           r.ID, Thresholds: r.Thresholds, UpdatedAt: at(r.UpdatedAt),
	}
}

func (a *API) registerContacts() {
	register(a, "list-contacts", http.MethodGet, "/contacts", auth.Viewer, "All contacts", func(ctx context.Context, _ *none) (*items[Contact], error) {
		rows, err := a.db.UIContacts(ctx, 0)
		return list(each(rows, contactOf)), err
	})
	register(a, "get-contact", http.MethodGet, "/contacts/{id}", auth.Viewer, "One contact", func(ctx context.Context, in *Numbered) (*body[Contact], error) {
		return a.contact(ctx, in.ID)
	})
	register(a, "create-contact", http.MethodPost, "/contacts", auth.Operator, "Add a contact", a.createContact, status(http.StatusCreated))
	register(a, "update-contact", http.MethodPut, "/contacts/{id}", auth.Operator, "Change a contact", a.updateContact)
	register(a, "delete-contact", http.MethodDelete, "/contacts/{id}", auth.Operator, "Remove a contact", a.deleteContact, status(http.StatusNoContent))
	register(a, "test-contact", http.MethodPost, "/contacts/{id}/test", auth.Operator, "Queue a test message", a.testContact, status(http.StatusAccepted))
	register(a, "list-notifications", http.MethodGet, "/notifications", auth.Viewer, "Messages, newest first", a.listNotifications)
	register(a, "get-notification", http.MethodGet, "/notifications/{id}", auth.Viewer, "One message", func(ctx context.Context, in *Counted) (*body[Notification], error) {
		return a.notification(ctx, in.ID)
	})
	register(a, "get-channels", http.MethodGet, "/channels", auth.Viewer, "By which ways messages can leave", func(context.Context, *none) (*body[Channels], error) {
		return one(a.channels()), nil
	})
}

func (a *API) contact(ctx context.Context, id int32) (*body[Contact], error) {
	rows, err := a.db.UIContacts(ctx, id)
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("cannot find contact %d: %w", id, db.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return one(contactOf(rows[0])), nil
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (c *ContactInput) check() error {
	c.Name, c.Email = strings.TrimSpace(c.Name), strings.TrimSpace(c.Email)
	c.Phone = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(c.Phone)
	var faults []error
	if err := printable(c.Name, false); err != nil || c.Name == "" {
		faults = append(faults, field("name", "give it a name without control characters", c.Name))
	}
	if c.Email != "" && !isAddress(c.Email) {
		faults = append(faults, field("email", "want one address, as ann@example.org", c.Email))
	}
	if c.Phone != "" && !e164.MatchString(c.Phone) {
		faults = append(faults, field("phone", "want the country's code and the number, as +8613800138000", c.Phone))
	}
	if c.Email == "" && c.Phone == "" {
		faults = append(faults, field("email", "give an address or a phone number", ""))
	}
	if len(faults) > 0 {
		return wrong(faults...)
	}
	return nil
}

// isAddress: a bare address that can stand in a header and an envelope as it is.
func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == "" && printable(s, false) == nil && !strings.ContainsAny(s, " \"<>,;")
}

func contactFault(err error, c *ContactInput) error {
	if isConstraint(err, "contacts_name_key") {
		return wrong(field("name", "there is a contact of this name already", c.Name))
	}
	return err
}

type newContact struct{ Body ContactInput }

func (a *API) createContact(ctx context.Context, in *newContact) (*body[Contact], error) {
	c := &in.Body
	if err := c.check(); err != nil {
		return nil, err
	}
	var id int32
	err := a.db.InTx(ctx, func(tx *db.Tx) (err error) {
		id, err = tx.UICreateContact(ctx, db.UICreateContactParams{Name: c.Name, Email: c.Email, Phone: c.Phone, Language: c.Language, SmsFrom: c.SMSFrom, Enabled: c.Enabled})
		if err != nil {
			return err
		}
		return audit(ctx, tx, "contact.create", c.Name, c)
	})
	if err != nil {
		return nil, contactFault(err, c)
	}
	return a.contact(ctx, id)
}

type changedContact struct {
	Numbered
	Body ContactInput
}

func (a *API) updateContact(ctx context.Context, in *changedContact) (*body[Contact], error) {
	c := &in.Body
	if err := c.check(); err != nil {
		return nil, err
	}
	before, err := a.contact(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	err = a.db.InTx(ctx, func(tx *db.Tx) error {
		err := exactly(tx.UIUpdateContact(ctx, db.UIUpdateContactParams{ID: in.ID, Name: c.Name, Email: c.Email, Phone: c.Phone, Language: c.Language, SmsFrom: c.SMSFrom, Enabled: c.Enabled}))
		if err != nil {
			return err
		}
		return audit(ctx, tx, "contact.update", c.Name, map[string]any{"from": before.Body.ContactInput, "to": c})
	})
	if err != nil {
		return nil, contactFault(err, c)
	}
	return a.contact(ctx, in.ID)
}

func (a *API) deleteContact(ctx context.Context, in *Numbered) (*none, error) {
	return nil, a.db.InTx(ctx, func(tx *db.Tx) error {
		name, err := tx.UIDeleteContact(ctx, in.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, "contact.delete", name, map[string]any{"id": in.ID})
	})
}

type contactTest struct {
	Numbered
	Body struct {
		Channel string `json:"channel" enum:"mail,sms"`
	}
}

func (a *API) testContact(ctx context.Context, in *contactTest) (*body[Notification], error) {
	c, err := a.contact(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ways, recipient, missing := a.channels(), c.Body.Email, "address"
	way := ways.Mail
	if in.Body.Channel == "sms" {
		way, recipient, missing = ways.SMS, c.Body.Phone, "phone number"
	}
	switch {
	case !way.Configured:
		return nil, wrong(field("channel", way.Why, in.Body.Channel))
	case recipient == "":
		return nil, wrong(field("channel", fmt.Sprintf("%s has no %s", c.Body.Name, missing), in.Body.Channel))
	}
	subject, text := testMessage(c.Body.Language, actor(ctx), a.o.Cluster)
	var id int64
	err = a.db.InTx(ctx, func(tx *db.Tx) (err error) {
		id, err = tx.UIQueueTest(ctx, db.UIQueueTestParams{Contact: &in.ID, Channel: in.Body.Channel, Recipient: recipient, Subject: subject, Text: text})
		if err != nil {
			return err
		}
		return audit(ctx, tx, "contact.test", c.Body.Name, map[string]any{"channel": in.Body.Channel, "notification": id})
	})
	if errors.Is(err, db.ErrReference) {
		err = fmt.Errorf("cannot find contact %d: %w", in.ID, db.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return a.notification(ctx, id)
}

func testMessage(language, who, cluster string) (subject, text string) {
	if language == "zh" {
		return "[Keepwatch] 测试消息", fmt.Sprintf("这是 Keepwatch(%s)的测试消息,由 %s 发送。收到即表示告警可以送达。", cluster, who)
	}
	return "[Keepwatch] test message", fmt.Sprintf("This is a test message of Keepwatch (%s), sent by %s. That you read it means that alerts reach you.", cluster, who)
}
