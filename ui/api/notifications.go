package api

import (
	"context"

	"keepwatch/schema/db"
)

// Channel says whether messages can leave by it.
type Channel struct {
	Configured bool   `json:"configured"`
	Why        string `json:"why" doc:"why not"`
}

// Channels are the ways by which messages leave.
type Channels struct {
	Mail Channel `json:"mail"`
	SMS  Channel `json:"sms"`
}

func (a *API) channels() Channels {
	mail, sms := a.o.Channels()
	return Channels{Mail: Channel{mail == "", mail}, SMS: Channel{sms == "", sms}}
}

// Notification is a message to one contact by one channel.
type Notification struct {
	ID          int64  `json:"id"`
	Kind        string `json:"kind" enum:"problem,recovery,repeat,test"`
	Channel     string `json:"channel" enum:"mail,sms"`
	ContactID   *int32 `json:"contact_id" doc:"null: the contact is gone"`
	ContactName string `json:"contact_name"`
	Recipient   string `json:"recipient"`
	Subject     string `json:"subject"`
	Text        string `json:"text"`
	Status      string `json:"status" enum:"queued,sending,sent,failed"`
	Tries       int32  `json:"tries"`
	LastError   string `json:"last_error"`
	CreatedAt   Time   `json:"created_at"`
	SentAt      *Time  `json:"sent_at" nullable:"true"`
}

func notificationOf(r db.UINotificationRow) Notification {
	return Notification{
		ID: r.ID, Kind: r.Kind, Channel: r.Channel, ContactID: r.Contact, ContactName: r.ContactName, Recipient: r.Recipient, Subject: r.Subject,
		Text: r.Text, Status: r.Status, Tries: r.Tries, LastError: r.LastError, CreatedAt: at(r.CreatedAt), SentAt: atOrNull(r.SentAt),
	}
}

func (a *API) notifications(ctx context.Context, p db.UINotificationsParams) ([]Notification, error) {
	rows, err := a.db.UINotifications(ctx, p)
	if err != nil {
		return nil, err
	}
	return each(rows, func(r db.UINotificationsRow) Notification { return notificationOf(db.UINotificationRow(r)) }), nil
}

func (a *API) notification(ctx context.Context, id int64) (*body[Notification], error) {
	row, err := a.db.UINotification(ctx, id)
	if err != nil {
		return nil, err
	}
	return one(notificationOf(row)), nil
}

type notificationFilter struct {
	Limit  int32  `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Status string `query:"status" enum:"queued,sending,sent,failed"`
}

func (a *API) listNotifications(ctx context.Context, in *notificationFilter) (*items[Notification], error) {
	all, err := a.notifications(ctx, db.UINotificationsParams{Status: in.Status, N: in.Limit})
	return list(all), err
}
