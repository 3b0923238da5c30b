package esscli

import (
	"strconv"

	"copyservices/taskstore/notation"
)

// byteSize is a flag's value in bytes.
type byteSize int64

// Set reads 64MiB, 64M, 1.5GiB or 67108864.
func (b *byteSize) Set(s string) error {
	n, err := notation.ParseSize(s)
	if err != nil {
		return err
	}
	*b = byteSize(n)
	return nil
}

func (b *byteSize) String() string {
	if b == nil || *b == 0 {
		return ""
	}
	return notation.FormatSize(int64(*b))
}

// number is a flag's value: a decimal number of at least 1.
type number int

// maxNumber is as many as anything here can be.
const maxNumber = 1<<31 - 1

// Set reads s.
func (n *number) Set(s string) error {
	value, err := notation.ParseNumber(s, 1, maxNumber)
	if err != nil {
		return err
	}
	*n = number(value)
	return nil
}

func (n *number) String() string {
	if n == nil || *n == 0 {
		return ""
	}
	return strconv.Itoa(int(*n))
}
