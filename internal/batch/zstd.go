package batch

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Both are safe for concurrent use of EncodeAll and DecodeAll and keep no goroutine of their own.
var (
	newWriter = sync.OnceValue(func() *zstd.Encoder {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // only a wrong option of the line above
		}
		return w
	})
	newReader = sync.OnceValue(func() *zstd.Decoder {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxDecompressed))
		if err != nil {
			panic(err)
		}
		return r
	})
)

// MaxDecompressed bounds what one compressed batch may unfold to, in bytes.
const MaxDecompressed = 32 << 20

// Compress appends the zstd frame of src to dst.
func Compress(dst, src []byte) []byte { return newWriter().EncodeAll(src, dst) }

// Decompress appends what the zstd frame src holds to dst. Its error wraps ErrMalformed.
func Decompress(dst, src []byte) ([]byte, error) {
	out, err := newReader().DecodeAll(src, dst)
	if err != nil {
		return dst, fmt.Errorf("%w: cannot decompress %d bytes: %w", ErrMalformed, len(src), err)
	}
	return out, nil
}
