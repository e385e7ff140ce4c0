"""The losses. Rows are normalised vectors; `of` (texts x concepts) holds the weight of every concept that a text describes."""
import torch
import torch.nn.functional as F


def cross(scores, targets):
    """Cross entropy with targets that are weights, not yet summing to one."""
    return -(targets / targets.sum(1, keepdim=True).clamp_min(1e-6) * scores.log_softmax(1)).sum(1).mean()


def contrastive(texts, images, scale, of, concepts):
    """CLIP's symmetric loss over the batch; every text of an image's concept is a positive."""
    scores, own = scale * texts @ images.T, of[:, concepts]
    return (cross(scores, own) + cross(scores.T, own.T)) / 2


def prototypes(texts, images, vectors, scale, of, concepts):
    """Both towers also find their concept among one learnt vector for each of ALL concepts: every step has all negatives, and
    all drawing styles and all words of a concept meet in one place. The vectors are thrown away after training."""
    v = F.normalize(vectors, dim=-1).T
    image = F.cross_entropy(scale * images @ v, concepts)
    return (image + cross(scale * texts @ v, of)) / 2, image


def pool(texts, images, scale, of, concepts):
    """One pool of texts and images in which everything finds its kin of either kind: narrows the gap between the modalities."""
    both = torch.cat([images, texts])
    picture = F.one_hot(concepts, of.shape[1]).to(of.dtype)
    own = torch.cat([picture, of])
    self = torch.eye(len(both), dtype=torch.bool, device=both.device)
    return cross((scale * both @ both.T).masked_fill(self, -1e4), (own @ own.T).masked_fill(self, 0))


def words(a, b, scale):
    """A word and its synonym, hypernym or gloss find each other in the batch."""
    scores, own = scale * a @ b.T, torch.arange(len(a), device=a.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
