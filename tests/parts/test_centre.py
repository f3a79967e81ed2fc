import pytest
import torch

from tacit.parts.centre import CentredTeacher


def test_centres_and_sharpens():
    part = CentredTeacher(4, temperature=0.2, first=0.1, rise=0.5, momentum=0.75)
    scores = torch.randn(3, 2, 4)
    torch.testing.assert_close(part(scores), (scores / 0.1).softmax(-1))
    centre = 0.25 * scores.mean((0, 1))
    torch.testing.assert_close(part.centre, centre)
    part.progress.fill_(0.25)
    torch.testing.assert_close(part(scores), ((scores - centre) / 0.15).softmax(-1))
    torch.testing.assert_close(part.centre, centre + 0.25 * (scores.mean((0, 1)) - centre))
    for progress in (0.5, 1.0):
        part.progress.fill_(progress)
        assert part.temperature_now().item() == pytest.approx(0.2)


def test_in_evaluation_and_without_rows_the_centre_stays():
    part = CentredTeacher(4)
    part(torch.zeros(0, 4))
    part.eval()(torch.randn(5, 4))
    assert not part.centre.any()


def test_one_prototype_cannot_win_for_all():
    part = CentredTeacher(4, momentum=0.5)
    scores = torch.randn(64, 4) + torch.tensor([5.0, 0, 0, 0])
    for _ in range(30):
        found = part(scores)
    assert found.mean(0).max() < 0.5


@pytest.mark.parametrize("bad", [{"temperature": 0}, {"first": -1}, {"rise": 2}, {"momentum": 1.0}])
def test_bad_values(bad):
    with pytest.raises(ValueError, match=r"must|share"):
        CentredTeacher(4, **bad)
