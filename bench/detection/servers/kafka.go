// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaCluster is kfake, and clients of franz-go that produce and consume.
var kafkaCluster = server{"kafka", serveKafka, kafkaClients}

func serveKafka(clock) (string, error) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "news"))
	if err != nil {
		return "", err
	}
	return strings.Join(c.ListenAddrs(), ","), nil
}

func kafkaClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(address, ",")...), kgo.ConsumeTopics("news"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(c.dur(time.Minute)))
		if err != nil {
			return err
		}
		defer client.Close()
		go func() {
			for ctx.Err() == nil {
				client.PollFetches(ctx)
			}
		}()
		n := 0
		return use(ctx, c, func() error {
			if n++; n%10 != 1 {
				return nil
			}
			return client.ProduceSync(ctx, &kgo.Record{Topic: "news", Value: []byte("hello")}).FirstErr()
		})
	}, nil
}
