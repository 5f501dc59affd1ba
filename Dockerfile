# syntax=docker/dockerfile:1
# Wheels only, hash-locked; the running image has no compiler, no package tools in use, and no root.
FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/broker
COPY requirements/build.txt requirements/server.txt requirements/
RUN /opt/broker/bin/pip install --require-hashes --only-binary :all: -r requirements/server.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY broker broker
COPY config config
RUN /opt/build/bin/python -m hatchling build -t wheel \
 && /opt/broker/bin/pip install --no-deps dist/*.whl \
 && /opt/broker/bin/python -m compileall -q /opt/broker/lib

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/broker --create-home --shell /usr/sbin/nologin broker
COPY --from=build /opt/broker /opt/broker
ENV PATH=/opt/broker/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    BROKER_CONFIG=/etc/broker/broker.yaml BROKER_SERVER__BIND=0.0.0.0:8400
USER 10001
# The root file system may be read-only: state is in /var/lib/broker, scratch files in /tmp (mount a tmpfs there).
VOLUME ["/var/lib/broker", "/tmp"]
EXPOSE 8400
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8400/healthz', timeout=2)"]
ENTRYPOINT ["broker"]
CMD ["serve"]
