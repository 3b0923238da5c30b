package filearray

import (
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/arraytest"
)

func TestConformance(t *testing.T) {
	arraytest.Run(t, func(t *testing.T) arrayclient.Array { return realArray(t) })
}
