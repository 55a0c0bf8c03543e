"""Images and COCO files, in and out. Every file is read whole, or refused with a sentence."""
