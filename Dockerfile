FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release -p ficus
# No point of it may be killed by name: those are for the tests' own binary.
RUN ! grep -q FICUS_KILL_AT build/release/ficus

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/ficus /usr/local/bin/ficus
COPY --from=build /src/spacehub/mappings /srv/spacehub/mappings
COPY --from=build /src/migrations/spacehub /srv/migrations/spacehub
WORKDIR /srv
USER nobody
ENTRYPOINT ["ficus"]
