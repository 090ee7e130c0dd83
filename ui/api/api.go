// Package api owns what the web app and other programs may ask of Keepwatch over HTTP: the calls under /api/v1, who
// may make them, what they accept, the stream of changes, and their description at /api/openapi.json. It reads and
// writes rows and asks PromQL; it never judges a sample, sends a message or moves an address: the parts that do meet
// it in the database. Package ui mounts it.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"keepwatch/internal/conf"
	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Options is what New needs.
type Options struct {
	DB         *db.DB
	Auth       *auth.Auth
	Prometheus http.Handler              // answers /api/v1/query and query_range, without the prefix /prometheus
	Channels   func() (mail, sms string) // why a channel cannot send; "": it can
	Version    string                    // of the program
	Cluster    string                    // name of this installation's own cluster
	Query      time.Duration             // bound of a PromQL query; 0: 30 s
	Stale      time.Duration             // a sample older than this says nothing about the present; 0: a minute
	Started    time.Time                 // of the process
	Log        *slog.Logger
}

// API answers the calls. Make it with New, mount Handler, run Run.
type API struct {
	o       Options
	db      *db.DB
	huma    huma.API
	mux     *http.ServeMux
	hub     *hub
	metrics recent[[]Metric]
	gauges  recent[map[hostKey][]db.UIHostGaugesRow]
}

// New makes the API. It starts nothing.
func New(o Options) *API {
	if o.Stale == 0 {
		o.Stale = time.Minute
	}
	if o.Query == 0 {
		o.Query = conf.Default().Extractor.Query.Timeout
	}
	a := &API{o: o, db: o.DB, mux: http.NewServeMux(), hub: newHub(o.DB, o.Log)}
	a.huma = humago.New(a.mux, humaConfig())
	a.huma.UseMiddleware(a.authorize)
	a.registerSession()
	a.registerOverview()
	a.registerAlerts()
	a.registerHosts()
	a.registerThresholds()
	a.registerContacts()
	a.registerHA()
	a.registerUsers()
	a.documentStream()
	settleSchemas(a.huma.OpenAPI())
	a.mux.HandleFunc("GET /api/openapi.json", a.openAPI())
	a.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		Problem(w, http.StatusNotFound, "There is no such call: see /api/openapi.json.")
	})
	return a
}

// Handler answers everything under /api/ but the stream, within auth.Handler or auth.LocalHandler.
func (a *API) Handler() http.Handler { return a.mux }

// Run follows the database's changes for the stream until ctx ends, which also ends all streams.
func (a *API) Run(ctx context.Context) error { return a.hub.run(ctx) }

// OpenAPI is the description of the API, indented JSON.
func (a *API) OpenAPI() ([]byte, error) {
	return json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
}

func (a *API) openAPI() http.HandlerFunc {
	text := sync.OnceValues(a.OpenAPI)
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := text()
		if err != nil {
			a.Fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(b) // the client is gone, then
	}
}

func humaConfig() huma.Config {
	json := huma.DefaultJSONFormat
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Keepwatch", Version: "1",
				Description: "What the web app uses, and any other program may. Sign in with POST /api/v1/session and keep the cookie.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"session": {Type: "apiKey", In: "cookie", Name: auth.CookieName},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": json, "json": json},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{explain},
	}
}

// anyone, as the role of a call, lets in who isn't signed in.
const anyone auth.Role = ""

// roleKey is the key of the needed role in an operation's metadata.
const roleKey = "role"

// register adds a call that needs a role. Errors of the handler become answers by failure.
func register[I, O any](a *API, id, method, path string, role auth.Role, summary string, handle func(context.Context, *I) (*O, error), change ...func(*huma.Operation)) {
	op := huma.Operation{
		OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Metadata: map[string]any{roleKey: role},
		Errors: []int{http.StatusServiceUnavailable}, MaxBodyBytes: MaxBody,
		BodyReadTimeout: a.o.Query + 30*time.Second, // also bounds the whole call: the server ends it when this is over
	}
	if role != anyone {
		op.Security = []map[string][]string{{"session": {}}}
		op.Description = fmt.Sprintf("Needs the role %s.", role)
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	for _, f := range change {
		f(&op)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.failure(ctx, err)
		}
		return out, nil
	})
}

// status sets the status of success.
func status(code int) func(*huma.Operation) {
	return func(op *huma.Operation) { op.DefaultStatus = code }
}

// authorize refuses a call before its body is read.
func (a *API) authorize(ctx huma.Context, next func(huma.Context)) {
	role, _ := ctx.Operation().Metadata[roleKey].(auth.Role)
	if role != anyone {
		u, ok := auth.UserOf(ctx.Context())
		if !ok {
			_ = huma.WriteErr(a.huma, ctx, http.StatusUnauthorized, "You are not signed in: sign in first.")
			return
		}
		if !u.Role.May(role) {
			_ = huma.WriteErr(a.huma, ctx, http.StatusForbidden, fmt.Sprintf("This needs the role %s; yours is %s. Ask an administrator.", role, u.Role))
			return
		}
	}
	next(ctx)
}

// actor is the name that stands in rows and audit for the user of a request.
func actor(ctx context.Context) string {
	u, _ := auth.UserOf(ctx)
	return u.Name
}

// audit writes, in the same transaction, who changed what.
func audit(ctx context.Context, tx *db.Tx, action, object string, details any) error {
	text, err := json.Marshal(details)
	if err != nil {
		return err
	}
	return tx.UIWriteAudit(ctx, db.UIWriteAuditParams{Actor: actor(ctx), Action: action, Object: object, Details: text})
}

// items is how lists are answered.
type items[T any] struct {
	Body struct {
		Items []T `json:"items"`
	}
}

func list[T any](all []T) *items[T] {
	if all == nil {
		all = []T{}
	}
	out := &items[T]{}
	out.Body.Items = all
	return out
}

// body is how one thing is answered.
type body[T any] struct {
	Body T
}

func one[T any](v T) *body[T] { return &body[T]{Body: v} }

// none is the input of calls that take nothing.
type none struct{}

// Numbered is the input of calls about one row.
type Numbered struct {
	ID int32 `path:"id" minimum:"1" doc:"id of the row"`
}

// Counted is the same for tables that may grow past an int32.
type Counted struct {
	ID int64 `path:"id" minimum:"1" doc:"id of the row"`
}

// exactly turns the number of changed rows into an error when there was no such row.
func exactly(n int64, err error) error {
	if err != nil {
		return db.Map(err)
	}
	if n == 0 {
		return fmt.Errorf("no row changed: %w", db.ErrNotFound)
	}
	return nil
}

// isConstraint reports whether an error is a refusal by the named constraint.
func isConstraint(err error, name string) bool {
	var c *db.ConstraintError
	return errors.As(db.Map(err), &c) && c.Constraint == name
}
