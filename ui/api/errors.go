package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// MaxBody bounds a request's body, in bytes.
const MaxBody = 1 << 20

const (
	busySentence = "The database does not answer at this moment. Try again."
	lostSentence = "Something went wrong inside Keepwatch. Its log says what."
)

// field is what is wrong with one field of the body, told beside it in the web app.
func field(name, message string, value any) error {
	return &huma.ErrorDetail{Location: "body." + name, Message: message, Value: value}
}

// wrong refuses a request for its fields.
func wrong(fields ...error) error {
	return huma.NewError(http.StatusUnprocessableEntity, invalidSentence, fields...)
}

// invalidSentence is what huma says when it refuses a body; explain replaces it.
const invalidSentence = "validation failed"

// failure makes the answer of a handler's error. What the client cannot do anything about goes to the log and not
// into the answer.
func (a *API) failure(ctx context.Context, err error) error {
	var known huma.StatusError
	var many *auth.TooManyError
	err = db.Map(err)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &many):
		return tooMany(many)
	case errors.Is(err, auth.ErrRefused):
		return huma.NewError(http.StatusUnauthorized, "The name or the password is wrong.")
	case errors.Is(err, auth.ErrBusy):
		return retryAfter(huma.NewError(http.StatusServiceUnavailable, "Too many people sign in at this moment. Try again."), 2)
	case errors.Is(err, db.ErrNotFound):
		return huma.NewError(http.StatusNotFound, "There is no such thing, or not any more.")
	case errors.Is(err, db.ErrCheck):
		return huma.NewError(http.StatusUnprocessableEntity, "The database refuses a value: it holds a NUL character or is out of bounds.")
	case errors.Is(err, db.ErrReference):
		return huma.NewError(http.StatusUnprocessableEntity, "What this refers to is gone. Reload and try again.")
	case errors.Is(err, db.ErrExists):
		return huma.NewError(http.StatusConflict, "There is one of this name already.")
	case errors.Is(ctx.Err(), context.Canceled): // the client has gone; nobody reads this
		return huma.NewError(http.StatusServiceUnavailable, busySentence)
	case ctx.Err() != nil, db.Unreachable(err):
		a.o.Log.Warn("cannot answer: the database does not", "err", err)
		return retryAfter(huma.NewError(http.StatusServiceUnavailable, busySentence), 2)
	}
	a.o.Log.Error("cannot answer", "err", err)
	return huma.NewError(http.StatusInternalServerError, lostSentence)
}

// Fail answers outside of huma as failure does inside.
func (a *API) Fail(w http.ResponseWriter, r *http.Request, err error) {
	err = a.failure(r.Context(), err)
	var headers huma.HeadersError
	if errors.As(err, &headers) {
		for name, values := range headers.GetHeaders() {
			w.Header()[name] = values
		}
	}
	var s huma.StatusError
	if errors.As(err, &s) {
		Problem(w, s.GetStatus(), s.Error())
		return
	}
	Problem(w, http.StatusInternalServerError, lostSentence)
}

// Problem answers with problem+json (RFC 9457), as huma does.
func Problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Del("ETag")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}) // the client is gone, then
}

func tooMany(e *auth.TooManyError) error {
	text := e.Error()
	return retryAfter(huma.NewError(http.StatusTooManyRequests, strings.ToUpper(text[:1])+text[1:]+"."), int(e.RetryAfter.Seconds())+1)
}

func retryAfter(err error, seconds int) error {
	return huma.ErrorWithHeaders(err, http.Header{"Retry-After": {strconv.Itoa(seconds)}})
}

// explain turns huma's words into a sentence for people, and keeps secrets and whole bodies out of the answer.
func explain(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	for _, d := range m.Errors {
		if !tellable(d) {
			d.Value = nil
		}
	}
	switch {
	case m.Detail == invalidSentence && len(m.Errors) > 0:
		d := m.Errors[0]
		where := strings.TrimPrefix(d.Location, "body.")
		m.Detail = "Something is to be corrected: " + d.Message
		if where != "" && where != "body" {
			m.Detail = fmt.Sprintf("Something is to be corrected: %s: %s", where, d.Message)
		}
		m.Detail = strings.TrimSuffix(m.Detail, ".") + "."
		if more := len(m.Errors) - 1; more > 0 {
			m.Detail += fmt.Sprintf(" And %d more.", more)
		}
	case m.Status >= 500 && m.Detail != busySentence && m.Detail != lostSentence && m.Status != http.StatusServiceUnavailable:
		m.Detail, m.Errors = lostSentence, nil
	}
	return m, nil
}

func tellable(d *huma.ErrorDetail) bool {
	for _, secret := range []string{"password", "current", "new"} {
		if strings.HasSuffix(d.Location, secret) {
			return false
		}
	}
	switch v := d.Value.(type) {
	case string:
		return len(v) <= 300
	case bool, int, int32, int64, float64:
		return true
	}
	return false
}

// conflict refuses what the present state does not allow.
func conflict(sentence string) error { return huma.NewError(http.StatusConflict, sentence) }
