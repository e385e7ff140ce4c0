# PostgreSQL with pgvector and pg_clip, on the official image. What a RUN line does is a script, which scripts/test-container.sh runs in
# a bare Debian of the same release.
ARG PG_MAJOR=17
FROM postgres:${PG_MAJOR}-trixie AS build
COPY . /src
WORKDIR /src
RUN scripts/container.sh build

# docker build --target volume --build-arg PG_MAJOR=18: files alone, which CloudNativePG mounts beside its own server.
FROM scratch AS volume
COPY --from=build /src/target/volume /

FROM postgres:${PG_MAJOR}-trixie
COPY scripts/container.sh /usr/local/share/pg_clip/
COPY --from=build /src/target/deb /usr/local/share/pg_clip/packages
RUN /usr/local/share/pg_clip/container.sh install
COPY scripts/container.sql /docker-entrypoint-initdb.d/10_pg_clip.sql
# Models that are pulled later lie here, too: pgclip pull NAME, as root.
VOLUME /var/lib/pg_clip/models
