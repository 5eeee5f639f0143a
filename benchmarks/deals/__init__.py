"""What the benchmarks of deal close time share: data, peers and scores."""
