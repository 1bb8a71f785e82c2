//! The interaction feature without interaction.

/// Writes the mean of `vectors`, all of one length, scaled to unit length: with a person's and the frame's it is
/// iCLIP's interaction feature of features that nothing has enhanced. Vectors that cancel out leave zeros, which are
/// equally far from every phrase.
pub fn fuse(vectors: &[&[f32]], out: &mut Vec<f32>) {
    out.clear();
    for vector in vectors {
        out.resize(vector.len(), 0.0);
        out.iter_mut().zip(*vector).for_each(|(sum, x)| *sum += x);
    }
    let norm = crate::clip::dot(out, out).sqrt();
    if norm.is_finite() && norm > 0.0 {
        out.iter_mut().for_each(|x| *x /= norm);
    } else {
        out.fill(0.0);
    }
}
