"""A table as a real CLIP fills it: texts and images in two cones of the space, around topics that both have."""
import os
import random
import tempfile

TEXT_TO_TEXT, TEXT_TO_IMAGE = 0.29, 0.96  # mean distances


class Cones:
    """Vectors of two modalities: a mean of the modality's own, a topic of both, and noise. Topics lie in few directions, as those
    of pictures do, and near topics are alike."""

    def __init__(self, dimensions, topics=400, directions=24, seed=7):
        self.random = random.Random(seed)
        self.dimensions = dimensions
        self.means = {"text": self.unit(), "image": self.unit()}
        # the cosine between the means that makes the mean distance across what it is
        within = 1 - TEXT_TO_TEXT
        wanted = (1 - TEXT_TO_IMAGE) / within
        text = self.means["text"]
        across = self.orthogonal(self.means["image"], text)
        self.means["image"] = [wanted * t + (1 - wanted * wanted) ** 0.5 * a for t, a in zip(text, across)]
        spread = (1 / within - 1) ** 0.5
        basis = [self.unit() for _ in range(directions)]
        self.topics = [self.mixed([self.random.gauss(0, spread * 0.8 / directions ** 0.5) for _ in basis], basis) for _ in range(topics)]
        self.noise = [[x * spread * 0.6 for x in self.unit()] for _ in range(2000)]

    def unit(self):
        vector = [self.random.gauss(0, 1) for _ in range(self.dimensions)]
        return self.normalised(vector)

    @staticmethod
    def normalised(vector):
        length = sum(x * x for x in vector) ** 0.5
        return [x / length for x in vector]

    def orthogonal(self, vector, to):
        along = sum(a * b for a, b in zip(vector, to))
        return self.normalised([v - along * t for v, t in zip(vector, to)])

    @staticmethod
    def mixed(weights, vectors):
        mixed = [0.0] * len(vectors[0])
        for weight, vector in zip(weights, vectors):
            mixed = [m + weight * v for m, v in zip(mixed, vector)]
        return mixed

    def vector(self, modality):
        """Not normalised: pgvector does it."""
        topic, a, b = self.random.choice(self.topics), self.random.choice(self.noise), self.random.choice(self.noise)
        return [m + t + (x + y) * 0.7071 for m, t, x, y in zip(self.means[modality], topic, a, b)]


def text_of(vector):
    return "[" + ",".join(f"{x:.5f}" for x in vector) + "]"


def fill(session, table, rows, dimensions, seed=7):
    """`rows` rows of a table of `clip_create_table`, every second an image, each with its vector, a lot of a hundred and a tenant
    of ten."""
    cones = Cones(dimensions, seed=seed)
    session.run(f"CREATE TEMP TABLE given (modality text, content_ref text, metadata jsonb, tenant integer, vector vector({dimensions}))")
    with tempfile.NamedTemporaryFile("w", suffix=".copy") as file:
        os.chmod(file.name, 0o644)  # the server reads it
        for i in range(rows):
            modality = ("text", "image")[i % 2]
            file.write(f"{modality}\t{modality} {i}\t{{\"lot\": {i // 2 % 100}}}\t{i // 200 % 10}\t{text_of(cones.vector(modality))}\n")
        file.flush()
        session.run(f"COPY given FROM '{file.name}'")
    session.run(f"ALTER TABLE {table} DISABLE TRIGGER USER; INSERT INTO {table} (modality, content_ref, metadata, tenant, embedding) "
                f"SELECT modality::clip_modality, content_ref, metadata, tenant, l2_normalize(vector) FROM given; "
                f"ALTER TABLE {table} ENABLE TRIGGER USER; DROP TABLE given; ANALYZE {table}")
    return cones
