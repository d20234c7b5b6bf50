# Three images from one file: `serve` (bot and CPU worker), `gpu` (GPU worker on PaddlePaddle's own image) and `train`
# (the same with what training needs).
#   docker build --target serve -t tang-poem-bot .
#   docker build --target gpu -t tang-poem-bot-gpu --build-arg PADDLE_INDEX=… .

ARG PYTHON_IMAGE=python:3.11-slim
ARG PADDLE_IMAGE=paddlepaddle/paddle:3.2.2-gpu-cuda12.6-cudnn9.5

FROM ${PYTHON_IMAGE} AS serve
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PTB_TIMEDELTA=true
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY bot bot
COPY engine engine
COPY train train
RUN pip install --no-cache-dir --constraint constraints.txt '.[picture]' \
 && install -d -o 10001 -g 10001 /train
USER 10001:10001
CMD ["python", "-m", "bot"]

# PaddlePaddle's image brings CUDA and cuDNN, and a Python older than this project wants; uv brings a newer one.
# PADDLE_INDEX is the package index that PaddlePaddle's installation page names for the image's CUDA; the public index has
# only paddlepaddle-gpu 2.6.2, which the constraints refuse.
FROM ${PADDLE_IMAGE} AS gpu
ARG PADDLE_INDEX
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UV_PYTHON_INSTALL_DIR=/opt/python PATH=/opt/venv/bin:${PATH}
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY bot bot
COPY engine engine
COPY train train
RUN test -n "${PADDLE_INDEX}" || { echo "say --build-arg PADDLE_INDEX=…, see the Dockerfile" >&2; exit 1; } \
 && python3 -m pip install --no-cache-dir uv \
 && python3 -m uv venv --python 3.11 --seed /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt --extra-index-url "${PADDLE_INDEX}" '.[gpu]' \
 && install -d -o 10001 -g 10001 /train
USER 10001:10001
CMD ["python", "-m", "engine", "--device", "gpu"]

FROM gpu AS train
ARG PADDLE_INDEX
USER root
# npm fetches the corpus.
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/* \
 && pip install --no-cache-dir --constraint constraints.txt --extra-index-url "${PADDLE_INDEX}" '.[train-gpu]'
USER 10001:10001
CMD ["python", "-m", "train", "worker", "--device", "gpu"]
