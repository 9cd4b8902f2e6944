# Builds the program and puts it into an image with nothing that it does not need.
#
#   docker build -t firewarden .
#   docker run -p 8080:8080 -v firewarden:/var/lib/firewarden -v ./firewarden.toml:/etc/firewarden/firewarden.toml:ro firewarden
#
# Secrets that the configuration names by variables come with `--env-file`. Without that, `firewarden check` says which.
# In a container, set `[web] listen = "0.0.0.0:8080"` and `[store] path = "/var/lib/firewarden/firewarden.db"`.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin firewarden

FROM debian:bookworm-slim
# Certificates for outgoing TLS, a shell's usual programs for runbooks.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/firewarden --create-home firewarden
COPY --from=build /src/target/release/firewarden /usr/local/bin/firewarden
COPY --from=build /src/runbooks /etc/firewarden/runbooks
COPY --from=build /src/firewarden.example.toml /etc/firewarden/firewarden.example.toml
USER firewarden
WORKDIR /var/lib/firewarden
VOLUME /var/lib/firewarden
EXPOSE 8080
ENV FIREWARDEN_CONFIG=/etc/firewarden/firewarden.toml
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s CMD ["curl", "-fsS", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["firewarden"]
CMD ["serve"]
