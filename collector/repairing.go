package collector

import (
	"context"

	"keepwatch/collector/listen"
	"keepwatch/internal/conf"
)

// openSender opens the ways that frames take: the group, and each receiver of send_to.
func openSender(ctx context.Context, n *conf.Native) (*listen.Sender, error) {
	var channels []listen.SendChannel
	if n.Group != "" {
		channels = append(channels, listen.SendChannel{Group: n.Group, Interface: n.Interface, TTL: n.TTL})
	}
	for _, to := range n.SendTo {
		channels = append(channels, listen.SendChannel{To: to})
	}
	return listen.OpenSender(ctx, channels, listen.Options{Channel: "native sender", Batch: senderBatch})
}

// senderBatch is small: what comes to the sending sockets are answers and requests.
const senderBatch = 16
