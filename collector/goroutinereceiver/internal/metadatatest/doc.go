// Package metadatatest has what tests need to check the receiver's own metrics.
package metadatatest
